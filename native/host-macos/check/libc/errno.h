#ifndef CHECK_ERRNO_H_
#define CHECK_ERRNO_H_
int* __error(void);
#define errno (*__error())
#define EINTR 4
#define EAGAIN 35
#define EWOULDBLOCK EAGAIN
#define ETIMEDOUT 60
#define ENAMETOOLONG 63
#endif
