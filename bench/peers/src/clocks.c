// clocks: prints pairs of CLOCK_MONOTONIC and CLOCK_REALTIME [ns], one a line, until its input
// ends.
//
// QEMU stamps its trace with CLOCK_REALTIME, everything else here is CLOCK_MONOTONIC, and a time
// daemon may slew one against the other: so they are compared all along, not once.

#include <inttypes.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#define PERIOD_MS 20
/// A reading that was interrupted between the clocks is worth nothing: the tightest of so many
/// counts.
#define ATTEMPTS 8

static int64_t read_clock(clockid_t clock) {
  struct timespec t;
  clock_gettime(clock, &t);
  return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

int main(void) {
  struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
  for (;;) {
    int64_t tightest = INT64_MAX, monotonic = 0, real = 0;
    for (int i = 0; i < ATTEMPTS; i++) {
      int64_t before = read_clock(CLOCK_MONOTONIC);
      int64_t between = read_clock(CLOCK_REALTIME);
      int64_t after = read_clock(CLOCK_MONOTONIC);
      if (after - before < tightest) {
        tightest = after - before;
        monotonic = before + (after - before) / 2;
        real = between;
      }
    }
    if (printf("%" PRId64 " %" PRId64 "\n", monotonic, real) < 0 || fflush(stdout) != 0) return 1;
    if (poll(&input, 1, PERIOD_MS) > 0) {
      char ignored[256];
      if (read(STDIN_FILENO, ignored, sizeof(ignored)) <= 0) return 0;
    }
  }
}
