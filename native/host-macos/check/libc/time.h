#ifndef CHECK_TIME_H_
#define CHECK_TIME_H_
#include <sys/types.h>
struct timespec {
  time_t tv_sec;
  long tv_nsec;
};
typedef enum { CLOCK_REALTIME = 0, CLOCK_MONOTONIC = 6, CLOCK_UPTIME_RAW = 8 } clockid_t;
uint64_t clock_gettime_nsec_np(clockid_t clock);
int clock_gettime(clockid_t clock, struct timespec* time);
#endif
