#ifndef CHECK_POLL_H_
#define CHECK_POLL_H_
#define POLLIN 1
#define POLLOUT 4
struct pollfd {
  int fd;
  short events;
  short revents;
};
typedef unsigned int nfds_t;
int poll(struct pollfd* fds, nfds_t count, int timeout);
#endif
