// SPDX-License-Identifier: Apache-2.0
// The tests of this package are plain C programs, so that a hundred mutants compile in seconds.
#ifndef SCANBRIDGE_MACOS_TEST_CHECK_H_
#define SCANBRIDGE_MACOS_TEST_CHECK_H_

#include <fakes/control.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define CHECK(condition)                                                      \
  do {                                                                        \
    if (!(condition)) {                                                       \
      fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition); \
      exit(1);                                                                \
    }                                                                         \
  } while (0)

/// Longest time that a test waits for what must come [ms]. A mutant that hangs ends by it, too.
#define PATIENCE_MS patience_ms()

static inline int patience_ms(void) {
  const char* const wanted = getenv("SCANBRIDGE_TEST_PATIENCE_MS");
  return wanted == NULL ? 10000 : atoi(wanted);
}

static inline void nap(void) {
  nanosleep(&(struct timespec){.tv_nsec = 500000}, NULL);
}

/// Waits until the condition holds, and fails when it does not.
#define EVENTUALLY(condition)                                                      \
  do {                                                                             \
    for (int waited_ = 0; !(condition) && waited_ < PATIENCE_MS; waited_++) nap(); \
    CHECK(condition);                                                              \
  } while (0)

/// Runs a test with fresh fakes, and checks that it leaves no object behind.
#define RUN(test)                                              \
  do {                                                         \
    if (argc < 2 || strcmp(argv[1], #test) == 0) {             \
      fake_reset();                                            \
      test();                                                  \
      fake_reset();                                            \
      fake_settle();                                           \
      if (fake_live_objects() != 0) {                          \
        fake_print_live();                                     \
        fprintf(stderr, "%s: leaves objects behind\n", #test); \
        return 1;                                              \
      }                                                        \
    }                                                          \
  } while (0)

#endif
