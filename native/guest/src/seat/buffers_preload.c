// SPDX-License-Identifier: Apache-2.0
// libscanbridge-buffers.so, for LD_PRELOAD: lets wlroots (0.17 and later) allocate on a DRM lease
// where the GPU cannot render.
//
// With its software renderer wlroots wants a second open file of the DRM device, to make dumb
// buffers on. From a DRM master it asks for that as a lease without objects, which the kernel
// refuses to lessees; then it opens the primary node by its name, which a container has no access
// to, and authenticates it, which never succeeds between a lessee and the device's master. Here
// that one request is answered with such a file from the seat (path "CARD?buffers"): it can make
// buffers, and nothing else.
//
// Everything else goes to libdrm. It names no library that it needs, so that any libc may load it.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

typedef int create_lease(int fd, const uint32_t* objects, int count, int flags, uint32_t* lessee);

// seatd's protocol; see guest-agent/src/seat/seatd-protocol.ts.
enum { OPEN_SEAT = 1, OPEN_DEVICE = 3, SEAT_OPENED = 0x8001, DEVICE_OPENED = 0x8003 };

struct header {
  uint16_t opcode;
  uint16_t size;
};

static int connect_seat(const char* path) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  if (strlen(path) >= sizeof address.sun_path) return -1;
  strcpy(address.sun_path, path);
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd >= 0 && connect(fd, (const struct sockaddr*)&address, sizeof address) != 0) {
    close(fd);
    fd = -1;
  }
  return fd;
}

/* Reads exactly that many bytes; a descriptor that comes with them goes to *passed. */
static int read_all(int fd, void* target, size_t size, int* passed) {
  char* at = target;
  while (size > 0) {
    struct iovec vector = {at, size};
    union {
      struct cmsghdr header;
      char bytes[CMSG_SPACE(sizeof(int))];
    } control;
    struct msghdr message = {.msg_iov = &vector,
                             .msg_iovlen = 1,
                             .msg_control = control.bytes,
                             .msg_controllen = sizeof control.bytes};
    ssize_t length = recvmsg(fd, &message, MSG_CMSG_CLOEXEC);
    if (length < 0 && errno == EINTR) continue;
    if (length <= 0) return -1;
    struct cmsghdr* header = CMSG_FIRSTHDR(&message);
    if (header != NULL && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS) {
      memcpy(passed, CMSG_DATA(header), sizeof *passed);
    }
    at += length;
    size -= (size_t)length;
  }
  return 0;
}

/* Reads messages until one is of this kind; 0 when it has come. */
static int wait_for(int fd, uint16_t opcode, int* passed) {
  char body[256];
  for (;;) {
    struct header header;
    if (read_all(fd, &header, sizeof header, passed) != 0 || header.size > sizeof body ||
        read_all(fd, body, header.size, passed) != 0) {
      return -1;
    }
    if (header.opcode == opcode) return 0;
    if (header.opcode == 0xffff) return -1;
  }
}

static int ask(int fd, const char* path, int* device) {
  struct {
    struct header header;
    uint16_t length;
    char path[256];
  } request;
  size_t length = strlen(path) + 1;
  const struct header open_seat = {OPEN_SEAT, 0};
  if (length > sizeof request.path) return -1;
  request.header.opcode = OPEN_DEVICE;
  request.header.size = (uint16_t)(sizeof request.length + length);
  request.length = (uint16_t)length;
  memcpy(request.path, path, length);
  const size_t size = offsetof(__typeof__(request), path) + length;
  if (send(fd, &open_seat, sizeof open_seat, MSG_NOSIGNAL) != (ssize_t)sizeof open_seat ||
      wait_for(fd, SEAT_OPENED, device) != 0 ||
      send(fd, &request, size, MSG_NOSIGNAL) != (ssize_t)size) {
    return -1;
  }
  return wait_for(fd, DEVICE_OPENED, device);
}

static int open_buffers(void) {
  const char* socket = getenv("SEATD_SOCK");
  const char* card = getenv("SCANBRIDGE_BUFFERS");
  if (socket == NULL || card == NULL) return -1;
  int seat = connect_seat(socket);
  int device = -1;
  if (seat < 0) return -1;
  if (ask(seat, card, &device) != 0 && device >= 0) {
    close(device);
    device = -1;
  }
  close(seat);
  return device;
}

__attribute__((visibility("default"))) int drmModeCreateLease(int fd, const uint32_t* objects,
                                                              int count, int flags,
                                                              uint32_t* lessee) {
  if (count == 0) {
    const int buffers = open_buffers();
    if (buffers >= 0) return buffers;
  }
  create_lease* next = (create_lease*)dlsym(RTLD_NEXT, "drmModeCreateLease");
  return next == NULL ? -EOPNOTSUPP : next(fd, objects, count, flags, lessee);
}
