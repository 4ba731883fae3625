#ifndef CHECK_UNISTD_H_
#define CHECK_UNISTD_H_
#include <sys/types.h>
int close(int fd);
int pipe(int fds[2]);
ssize_t read(int fd, void* to, size_t size);
ssize_t write(int fd, const void* from, size_t size);
#endif
