#ifndef CHECK_SYS_SOCKET_H_
#define CHECK_SYS_SOCKET_H_
#include <sys/types.h>
#define AF_UNIX 1
#define SOCK_STREAM 1
#define SOL_SOCKET 0xffff
#define SO_NOSIGPIPE 0x1022
struct sockaddr {
  unsigned char sa_len;
  sa_family_t sa_family;
  char sa_data[14];
};
int socket(int family, int type, int protocol);
int connect(int fd, const struct sockaddr* address, socklen_t size);
int setsockopt(int fd, int level, int name, const void* value, socklen_t size);
ssize_t send(int fd, const void* from, size_t size, int flags);
ssize_t recv(int fd, void* to, size_t size, int flags);
#endif
