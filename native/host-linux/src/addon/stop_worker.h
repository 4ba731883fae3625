// SPDX-License-Identifier: Apache-2.0
// Stops something that takes time to stop, off the JavaScript thread.
#ifndef SCANBRIDGE_HOST_ADDON_STOP_WORKER_H_
#define SCANBRIDGE_HOST_ADDON_STOP_WORKER_H_

#include <napi.h>

#include <functional>

namespace scanbridge::host {

/// Runs `stop` on a worker thread, then `finish` and the callback on the JavaScript thread.
class StopWorker final : public Napi::AsyncWorker {
 public:
  StopWorker(const Napi::Function& done, std::function<void()> stop, std::function<void()> finish)
      : Napi::AsyncWorker(done), stop_(std::move(stop)), finish_(std::move(finish)) {}

  void Execute() override { stop_(); }
  void OnOK() override {
    finish_();
    Callback().Call({});
  }

 private:
  std::function<void()> stop_;
  std::function<void()> finish_;
};

}  // namespace scanbridge::host

#endif  // SCANBRIDGE_HOST_ADDON_STOP_WORKER_H_
