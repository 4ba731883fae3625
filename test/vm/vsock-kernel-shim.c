/*
 * Lets the kernel's own vsock_test (tools/testing/vsock) run between a guest of virtio-vsock-unix
 * and its host. It is linked into both, with --wrap for the functions below.
 *
 * On the host (VSOCK_SHIM_BASE is set) AF_VSOCK becomes the device's Unix sockets: a port that is
 * listened on is BASE_<port>, a connection is BASE and a CONNECT line. The test's control
 * connection, TCP in the original, goes over the device as well, so that the guest needs no
 * network.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
/* Needs sys/socket.h before it. */
#include <linux/vm_sockets.h>

enum { MAX_FD = 1024, GUEST_CID = 3 };

/* What the socket was bound to, and the buffer size that was asked for. */
static struct {
  uint32_t port;
  uint64_t size[3];
} sockets[MAX_FD];

int __real_socket(int domain, int type, int protocol);
int __real_bind(int fd, const struct sockaddr* address, socklen_t size);
int __real_listen(int fd, int backlog);
int __real_accept(int fd, struct sockaddr* address, socklen_t* size);
int __real_connect(int fd, const struct sockaddr* address, socklen_t size);
int __real_setsockopt(int fd, int level, int name, const void* value, socklen_t size);
int __real_getsockopt(int fd, int level, int name, void* value, socklen_t* size);

int __wrap_socket(int domain, int type, int protocol);
int __wrap_bind(int fd, const struct sockaddr* address, socklen_t size);
int __wrap_listen(int fd, int backlog);
int __wrap_accept(int fd, struct sockaddr* address, socklen_t* size);
int __wrap_connect(int fd, const struct sockaddr* address, socklen_t size);
int __wrap_setsockopt(int fd, int level, int name, const void* value, socklen_t size);
int __wrap_getsockopt(int fd, int level, int name, void* value, socklen_t* size);

static const char* base(void) {
  return getenv("VSOCK_SHIM_BASE");
}

/* The port of either address family. */
static uint32_t port_of(const struct sockaddr* address) {
  if (address->sa_family == AF_INET) {
    return ntohs(((const struct sockaddr_in*)address)->sin_port);
  }
  return ((const struct sockaddr_vm*)address)->svm_port;
}

static struct sockaddr_un unix_address(uint32_t port) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};

  if (port == VMADDR_PORT_ANY) {
    snprintf(address.sun_path, sizeof address.sun_path, "%s", base());
  } else {
    snprintf(address.sun_path, sizeof address.sun_path, "%s_%u", base(), port);
  }
  return address;
}

int __wrap_socket(int domain, int type, int protocol) {
  int fd = -1;

  if (!base()) {
    fd = __real_socket(AF_VSOCK, type, domain == AF_VSOCK ? protocol : 0);
  } else if ((type & 0xf) == SOCK_STREAM) {
    fd = __real_socket(AF_UNIX, type, 0);
  } else {
    errno = ESOCKTNOSUPPORT;
  }
  if (fd >= 0 && fd < MAX_FD) {
    memset(&sockets[fd], 0, sizeof sockets[fd]);
    sockets[fd].port = VMADDR_PORT_ANY;
  }
  return fd;
}

/* A client may bind, too: what it is for shows later. */
int __wrap_bind(int fd, const struct sockaddr* address, socklen_t size) {
  struct sockaddr_vm own = {.svm_family = AF_VSOCK, .svm_cid = VMADDR_CID_ANY};

  if (base()) {
    sockets[fd].port = port_of(address);
    return 0;
  }
  if (address->sa_family == AF_VSOCK) {
    return __real_bind(fd, address, size);
  }
  own.svm_port = port_of(address);
  return __real_bind(fd, (struct sockaddr*)&own, sizeof own);
}

int __wrap_listen(int fd, int backlog) {
  if (base()) {
    struct sockaddr_un address = unix_address(sockets[fd].port);

    unlink(address.sun_path);
    if (__real_bind(fd, (struct sockaddr*)&address, sizeof address) < 0) {
      return -1;
    }
  }
  return __real_listen(fd, backlog);
}

int __wrap_accept(int fd, struct sockaddr* address, socklen_t* size) {
  int peer;

  if (!base()) {
    return __real_accept(fd, address, size);
  }
  peer = __real_accept(fd, NULL, NULL);
  if (peer >= 0 && address) {
    struct sockaddr_vm guest = {.svm_family = AF_VSOCK, .svm_cid = GUEST_CID};

    memcpy(address, &guest, sizeof guest);
    *size = sizeof guest;
  }
  return peer;
}

int __wrap_connect(int fd, const struct sockaddr* address, socklen_t size) {
  struct sockaddr_vm host = {.svm_family = AF_VSOCK, .svm_cid = VMADDR_CID_HOST};
  struct sockaddr_un device;
  char line[32];
  ssize_t n;

  if (!base() && address->sa_family == AF_VSOCK) {
    return __real_connect(fd, address, size);
  }
  if (!base()) {
    host.svm_port = port_of(address);
    return __real_connect(fd, (struct sockaddr*)&host, sizeof host);
  }
  device = unix_address(VMADDR_PORT_ANY);
  if (__real_connect(fd, (struct sockaddr*)&device, sizeof device) < 0) {
    return -1;
  }
  n = snprintf(line, sizeof line, "CONNECT %u\n", port_of(address));
  if (write(fd, line, (size_t)n) != n) {
    return -1;
  }
  /* What follows the line is the test's. */
  do {
    n = read(fd, line, 1);
  } while (n == 1 && line[0] != '\n');
  if (n != 1) {
    errno = ECONNRESET;
    return -1;
  }
  return 0;
}

/* The device has the window that it has; what was asked for is only remembered. */
int __wrap_setsockopt(int fd, int level, int name, const void* value, socklen_t size) {
  if (base() && level == AF_VSOCK) {
    if (name >= 0 && name < 3 && size == sizeof(uint64_t)) {
      memcpy(&sockets[fd].size[name], value, size);
    }
    return 0;
  }
  return __real_setsockopt(fd, level, name, value, size);
}

int __wrap_getsockopt(int fd, int level, int name, void* value, socklen_t* size) {
  if (base() && level == AF_VSOCK && name >= 0 && name < 3) {
    memcpy(value, &sockets[fd].size[name], sizeof(uint64_t));
    return 0;
  }
  return __real_getsockopt(fd, level, name, value, size);
}
