// SPDX-License-Identifier: Apache-2.0
#include "loop/loop.h"

#include <cerrno>
#include <mutex>
#include <system_error>
#include <utility>

namespace scanbridge::guest {
namespace {

[[noreturn]] void Throw(const char* what) {
  throw std::system_error(errno != 0 ? errno : ENOMEM, std::generic_category(), what);
}

}  // namespace

Loop::Loop(const char* name) {
  static std::once_flag once;
  std::call_once(once, [] { pw_init(nullptr, nullptr); });
  thread_ = pw_thread_loop_new(name, nullptr);
  if (thread_ == nullptr) Throw("no thread loop");
  context_ = pw_context_new(get(), nullptr, 0);
  posted_event_ =
      context_ == nullptr
          ? nullptr
          : pw_loop_add_event(
                get(), [](void* self, uint64_t) { static_cast<Loop*>(self)->RunPosted(); }, this);
  if (posted_event_ == nullptr || pw_thread_loop_start(thread_) < 0) {
    const int error = errno;
    if (posted_event_ != nullptr) pw_loop_destroy_source(get(), posted_event_);
    if (context_ != nullptr) pw_context_destroy(context_);
    pw_thread_loop_destroy(thread_);
    errno = error;
    Throw("no PipeWire context");
  }
}

Loop::~Loop() {
  pw_thread_loop_stop(thread_);
  // What was posted last frees objects that still use the context.
  RunPosted();
  pw_loop_destroy_source(get(), posted_event_);
  pw_context_destroy(context_);
  pw_thread_loop_destroy(thread_);
}

void Loop::Post(std::function<void()> task) {
  {
    const std::lock_guard lock(posted_mutex_);
    posted_.push_back(std::move(task));
  }
  pw_loop_signal_event(get(), posted_event_);
}

void Loop::RunPosted() {
  for (;;) {
    std::vector<std::function<void()>> tasks;
    {
      const std::lock_guard lock(posted_mutex_);
      tasks.swap(posted_);
    }
    if (tasks.empty()) return;
    for (auto& task : tasks) task();
  }
}

IoWatch::IoWatch(Loop& loop, int fd, uint32_t mask, std::function<void(uint32_t)> ready)
    : loop_(loop), ready_(std::move(ready)), mask_(mask) {
  source_ = pw_loop_add_io(
      loop_.get(), fd, mask, false,
      [](void* self, int, uint32_t events) { static_cast<IoWatch*>(self)->ready_(events); }, this);
  if (source_ == nullptr) Throw("no watch");
}

IoWatch::~IoWatch() {
  pw_loop_destroy_source(loop_.get(), source_);
}

void IoWatch::Update(uint32_t mask) {
  if (mask == mask_) return;
  mask_ = mask;
  pw_loop_update_io(loop_.get(), source_, mask);
}

Timer::Timer(Loop& loop, std::function<void()> fire) : loop_(loop), fire_(std::move(fire)) {
  source_ = pw_loop_add_timer(
      loop_.get(),
      [](void* self, uint64_t) {
        auto* timer = static_cast<Timer*>(self);
        timer->running_ = false;
        timer->fire_();
      },
      this);
  if (source_ == nullptr) Throw("no timer");
}

Timer::~Timer() {
  pw_loop_destroy_source(loop_.get(), source_);
}

void Timer::Start(std::chrono::nanoseconds delay) {
  const auto ns = delay.count() > 0 ? delay.count() : 1;
  timespec value{};
  value.tv_sec = ns / 1'000'000'000;
  value.tv_nsec = ns % 1'000'000'000;
  running_ = true;
  pw_loop_update_timer(loop_.get(), source_, &value, nullptr, false);
}

void Timer::Stop() {
  timespec never{};
  running_ = false;
  pw_loop_update_timer(loop_.get(), source_, &never, nullptr, false);
}

}  // namespace scanbridge::guest
