#ifndef CHECK_FCNTL_H_
#define CHECK_FCNTL_H_
#define F_SETFD 2
#define F_SETFL 4
#define FD_CLOEXEC 1
#define O_NONBLOCK 4
int fcntl(int fd, int command, ...);
#endif
