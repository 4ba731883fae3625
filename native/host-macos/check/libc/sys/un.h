#ifndef CHECK_SYS_UN_H_
#define CHECK_SYS_UN_H_
#include <sys/types.h>
struct sockaddr_un {
  unsigned char sun_len;
  sa_family_t sun_family;
  char sun_path[104];
};
#endif
