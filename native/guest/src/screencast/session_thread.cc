// SPDX-License-Identifier: Apache-2.0
#include "screencast/session_thread.h"

#include <utility>

namespace scanbridge::guest {

SessionThread::SessionThread(std::function<void(SessionThread&)> body)
    : context_(g_main_context_new()), cancellable_(g_cancellable_new()) {
  thread_ = std::thread([this, body = std::move(body)] {
    g_main_context_push_thread_default(context_);
    body(*this);
    g_main_context_pop_thread_default(context_);
  });
}

SessionThread::~SessionThread() {
  Cancel();
  thread_.join();
  // Frees the tasks that were not run.
  g_main_context_unref(context_);
  g_object_unref(cancellable_);
}

void SessionThread::Cancel() {
  g_cancellable_cancel(cancellable_);
  g_main_context_wakeup(context_);
}

void SessionThread::Invoke(std::function<void()> task) {
  GSource* source = g_idle_source_new();
  g_source_set_priority(source, G_PRIORITY_DEFAULT);
  g_source_set_callback(
      source,
      [](gpointer data) {
        (*static_cast<std::function<void()>*>(data))();
        return G_SOURCE_REMOVE;
      },
      new std::function<void()>(std::move(task)),
      [](gpointer data) { delete static_cast<std::function<void()>*>(data); });
  g_source_attach(source, context_);
  g_source_unref(source);
}

bool SessionThread::RunUntil(const std::function<bool()>& done, Clock::time_point deadline) {
  GSource* timer = nullptr;
  if (deadline != Clock::time_point::max()) {
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now());
    timer = g_timeout_source_new(static_cast<guint>(std::max<int64_t>(0, left.count()) + 1));
    // Its only purpose is to end the wait below.
    g_source_set_callback(
        timer, [](gpointer) { return G_SOURCE_REMOVE; }, nullptr, nullptr);
    g_source_attach(timer, context_);
  }
  while (!done() && !cancelled() && Clock::now() < deadline) {
    g_main_context_iteration(context_, TRUE);
  }
  if (timer != nullptr) {
    g_source_destroy(timer);
    g_source_unref(timer);
  }
  return done();
}

}  // namespace scanbridge::guest
