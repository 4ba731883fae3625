// Own declarations of what native/host-macos uses of the C library of macOS (arm64), from its
// manual pages.
#ifndef CHECK_SYS_TYPES_H_
#define CHECK_SYS_TYPES_H_
#include <stddef.h>
#include <stdint.h>
typedef long ssize_t;
typedef long long off_t;
typedef int pid_t;
typedef unsigned int uid_t;
typedef long time_t;
typedef unsigned int socklen_t;
typedef unsigned char sa_family_t;
#endif
