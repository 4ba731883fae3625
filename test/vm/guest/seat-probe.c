/*
 * seat-probe SOCKET PATH...: what a client of a seatd gets. Prints a line for each path.
 * seat-probe SOCKET --garbage: sends what is no request, and waits for the end of the connection.
 *
 * Speaks seatd's protocol by itself: libseat asks only for what is likely to be there.
 */
#define _GNU_SOURCE
#include <drm.h>
#include <drm_mode.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { OPEN_SEAT = 1, OPEN_DEVICE = 3, DEVICE_OPENED = 0x8003, ERROR = 0xffff };

struct header {
  uint16_t opcode, size;
};

static int seat;

static int read_all(void* target, size_t size, int* passed) {
  char* at = target;
  while (size > 0) {
    char control[CMSG_SPACE(sizeof(int))];
    struct iovec vector = {at, size};
    struct msghdr message = {.msg_iov = &vector,
                             .msg_iovlen = 1,
                             .msg_control = control,
                             .msg_controllen = sizeof control};
    ssize_t length = recvmsg(seat, &message, 0);
    if (length <= 0) {
      return -1;
    }
    struct cmsghdr* header = CMSG_FIRSTHDR(&message);
    if (header && header->cmsg_type == SCM_RIGHTS) {
      memcpy(passed, CMSG_DATA(header), sizeof *passed);
    }
    at += length;
    size -= (size_t)length;
  }
  return 0;
}

/* Reads until an answer to an open-device; returns its descriptor, or -errno. */
static int read_answer(void) {
  int passed = -1;
  for (;;) {
    char body[256];
    struct header header;
    if (read_all(&header, sizeof header, &passed) < 0 || header.size > sizeof body ||
        read_all(body, header.size, &passed) < 0) {
      return -EPIPE;
    }
    if (header.opcode == DEVICE_OPENED) {
      return passed;
    }
    if (header.opcode == ERROR) {
      int32_t code;
      memcpy(&code, body, sizeof code);
      return -code;
    }
  }
}

static void probe(const char* path) {
  struct {
    struct header header;
    uint16_t length;
    char path[256];
  } request = {.header.opcode = OPEN_DEVICE};
  struct drm_mode_card_res resources = {0};

  request.length = (uint16_t)(strlen(path) + 1);
  request.header.size = (uint16_t)(sizeof request.length + request.length);
  strncpy(request.path, path, sizeof request.path - 1);
  if (write(seat, &request, sizeof request.header + request.header.size) < 0) {
    perror("seat-probe");
    return;
  }
  int fd = read_answer();
  if (fd < 0) {
    printf("%s: %s\n", path, strerror(-fd));
  } else if (ioctl(fd, DRM_IOCTL_MODE_GETRESOURCES, &resources) == 0) {
    printf("%s: lease of %u connector%s\n", path, resources.count_connectors,
           resources.count_connectors == 1 ? "" : "s");
  } else {
    printf("%s: opened\n", path);
  }
}

int main(int argc, char** argv) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  const struct header open_seat = {OPEN_SEAT, 0}, garbage = {77, 3000};
  char byte;

  if (argc < 3) {
    fprintf(stderr, "usage: seat-probe SOCKET PATH...\n");
    return 2;
  }
  strncpy(address.sun_path, argv[1], sizeof address.sun_path - 1);
  seat = socket(AF_UNIX, SOCK_STREAM, 0);
  if (connect(seat, (struct sockaddr*)&address, sizeof address) < 0) {
    fprintf(stderr, "seat-probe: cannot connect: %s\n", strerror(errno));
    return 1;
  }
  if (strcmp(argv[2], "--garbage") == 0) {
    if (write(seat, &garbage, sizeof garbage) < 0 || read(seat, &byte, 1) != 0) {
      puts("still open");
    } else {
      puts("closed");
    }
    return 0;
  }
  if (write(seat, &open_seat, sizeof open_seat) < 0) {
    perror("seat-probe");
    return 1;
  }
  for (int i = 2; i < argc; i++) {
    probe(argv[i]);
  }
  return 0;
}
