// SPDX-License-Identifier: Apache-2.0
// The one thread in which a surface server, its clients and its captures live.
//
// Everything of a server is done in this thread, or by another thread that holds the loop's lock
// (Loop::Lock); so nothing else of it needs a lock. Nothing done here may block.
#ifndef SCANBRIDGE_GUEST_LOOP_LOOP_H_
#define SCANBRIDGE_GUEST_LOOP_LOOP_H_

#include <pipewire/pipewire.h>

#include <chrono>
#include <functional>
#include <mutex>
#include <vector>

namespace scanbridge::guest {

/// A PipeWire loop in a thread of its own.
class Loop {
 public:
  /// Holds the loop's thread between two events. Not to be taken in the loop's own thread.
  class Lock {
   public:
    explicit Lock(Loop& loop) : loop_(loop) { pw_thread_loop_lock(loop_.thread_); }
    Lock(const Lock&) = delete;
    Lock& operator=(const Lock&) = delete;
    ~Lock() { pw_thread_loop_unlock(loop_.thread_); }

   private:
    Loop& loop_;
  };

  /// Throws std::system_error.
  explicit Loop(const char* name);
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;
  /// Ends the thread. All watches and timers are gone before.
  ~Loop();

  pw_loop* get() const { return pw_thread_loop_get_loop(thread_); }
  pw_context* context() const { return context_; }

  /// Runs `task` in the loop's thread once the present event was handled. From any thread, without
  /// waiting. This is how objects that are in the middle of a callback are destroyed.
  void Post(std::function<void()> task);

 private:
  void RunPosted();

  pw_thread_loop* thread_ = nullptr;
  pw_context* context_ = nullptr;
  spa_source* posted_event_ = nullptr;
  std::mutex posted_mutex_;
  std::vector<std::function<void()>> posted_;
};

/// Watches a descriptor for as long as it lives; does not own it.
class IoWatch {
 public:
  /// `ready(mask)` gets SPA_IO_IN, SPA_IO_OUT, SPA_IO_HUP, SPA_IO_ERR.
  IoWatch(Loop& loop, int fd, uint32_t mask, std::function<void(uint32_t)> ready);
  IoWatch(const IoWatch&) = delete;
  IoWatch& operator=(const IoWatch&) = delete;
  ~IoWatch();

  void Update(uint32_t mask);

 private:
  Loop& loop_;
  std::function<void(uint32_t)> ready_;
  uint32_t mask_;
  spa_source* source_;
};

/// A timer that fires once for every Start.
class Timer {
 public:
  Timer(Loop& loop, std::function<void()> fire);
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;
  ~Timer();

  /// Starts anew. A delay of 0 fires as soon as possible.
  void Start(std::chrono::nanoseconds delay);
  void Stop();
  bool running() const { return running_; }

 private:
  Loop& loop_;
  std::function<void()> fire_;
  bool running_ = false;
  spa_source* source_;
};

}  // namespace scanbridge::guest

#endif  // SCANBRIDGE_GUEST_LOOP_LOOP_H_
