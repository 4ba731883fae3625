// SPDX-License-Identifier: Apache-2.0
// A thread on which something ends that may hang.
#ifndef SCANBRIDGE_HOST_ENGINE_GRAVE_H_
#define SCANBRIDGE_HOST_ENGINE_GRAVE_H_

#include <atomic>
#include <memory>
#include <thread>
#include <utility>

namespace scanbridge::host {

/// Runs `work(done)` on its own thread; `work` sets done when it is over. The destructor waits for
/// the thread.
class Grave {
 public:
  template <typename Work>
  explicit Grave(Work work)
      : done_(std::make_unique<std::atomic<bool>>(false)),
        thread_([work = std::move(work), &done = *done_]() mutable { work(done); }) {}
  Grave(Grave&&) = default;
  Grave& operator=(Grave&& other) noexcept {
    std::swap(done_, other.done_);
    std::swap(thread_, other.thread_);
    return *this;
  }
  ~Grave() {
    if (thread_.joinable()) thread_.join();
  }

  /// The destructor will not wait.
  bool done() const { return *done_; }

 private:
  std::unique_ptr<std::atomic<bool>> done_;
  std::thread thread_;
};

}  // namespace scanbridge::host

#endif  // SCANBRIDGE_HOST_ENGINE_GRAVE_H_
