// SPDX-License-Identifier: Apache-2.0
// Wakes a thread that polls.
#ifndef SCANBRIDGE_MACOS_CORE_WAKER_H_
#define SCANBRIDGE_MACOS_CORE_WAKER_H_

#include <stdbool.h>

/// A pipe: any thread wakes, one thread polls `fds[0]` and clears. Both ends never block.
typedef struct {
  int fds[2];
} sbm_waker;

/// False: out of descriptors, errno is set.
bool sbm_waker_open(sbm_waker* waker);
void sbm_waker_close(sbm_waker* waker);
void sbm_waker_wake(sbm_waker* waker);
void sbm_waker_clear(sbm_waker* waker);

#endif
