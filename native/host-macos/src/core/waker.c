// SPDX-License-Identifier: Apache-2.0
#include "core/waker.h"

#include <fcntl.h>
#include <unistd.h>

bool sbm_waker_open(sbm_waker* waker) {
  if (pipe(waker->fds) != 0) {
    waker->fds[0] = waker->fds[1] = -1;
    return false;
  }
  for (int i = 0; i < 2; i++) {
    // Not atomic with pipe(), which has no flags here: a child forked in between inherits the pipe,
    // and a pipe alone gives it nothing.
    (void)fcntl(waker->fds[i], F_SETFD, FD_CLOEXEC);
    (void)fcntl(waker->fds[i], F_SETFL, O_NONBLOCK);
  }
  return true;
}

void sbm_waker_close(sbm_waker* waker) {
  for (int i = 0; i < 2; i++)
    if (waker->fds[i] >= 0) (void)close(waker->fds[i]);
}

void sbm_waker_wake(sbm_waker* waker) {
  // A full pipe means that the thread will wake anyway.
  const ssize_t written = write(waker->fds[1], "", 1);
  (void)written;
}

void sbm_waker_clear(sbm_waker* waker) {
  char bytes[64];
  while (read(waker->fds[0], bytes, sizeof bytes) > 0) {
  }
}
