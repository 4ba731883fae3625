// SPDX-License-Identifier: Apache-2.0
#include "surface/sigbus_guard.h"

#include <signal.h>
#include <sys/mman.h>

#include <cstdint>
#include <mutex>

namespace scanbridge::host {
namespace {

struct Range {
  uintptr_t base;
  size_t size;
  volatile sig_atomic_t faulted;
};

// The handler must not make the dynamic linker allocate this variable, hence the model.
__attribute__((tls_model("initial-exec"))) thread_local Range guarded{};

struct sigaction previous;

void Handle(int signal, siginfo_t* info, void* context) {
  const auto address = reinterpret_cast<uintptr_t>(info->si_addr);
  if (guarded.size != 0 && address - guarded.base < guarded.size) {
    void* const base = reinterpret_cast<void*>(guarded.base);
    if (::mmap(base, guarded.size, PROT_READ, MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) ==
        base) {
      guarded.faulted = 1;
      return;
    }
  }
  if ((previous.sa_flags & SA_SIGINFO) != 0 && previous.sa_sigaction != nullptr) {
    previous.sa_sigaction(signal, info, context);
  } else if (previous.sa_handler != SIG_DFL && previous.sa_handler != SIG_IGN) {
    previous.sa_handler(signal);
  } else {
    // Returning repeats the access, which now ends the process as it would have without us.
    ::signal(signal, SIG_DFL);
  }
}

void Install() {
  static std::once_flag once;
  std::call_once(once, [] {
    struct sigaction action {};
    action.sa_sigaction = Handle;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK;
    ::sigemptyset(&action.sa_mask);
    ::sigaction(SIGBUS, &action, &previous);
  });
}

}  // namespace

SigbusGuard::SigbusGuard(void* base, size_t size) {
  Install();
  guarded = {reinterpret_cast<uintptr_t>(base), size, 0};
}

SigbusGuard::~SigbusGuard() {
  guarded.size = 0;
}

bool SigbusGuard::faulted() const {
  return guarded.faulted != 0;
}

}  // namespace scanbridge::host
