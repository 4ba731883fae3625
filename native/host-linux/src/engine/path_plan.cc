// SPDX-License-Identifier: Apache-2.0
#include "engine/path_plan.h"

#include <utility>

#include "encode/encoder.h"

namespace scanbridge::host {

PathPlan::PathPlan(std::vector<const EnginePath*> paths, GpuChoice gpu,
                   const std::vector<TriedPath>& avoided)
    : paths_(std::move(paths)), gpu_(std::move(gpu)) {
  for (const TriedPath& tried : avoided) {
    for (const EnginePath* path : paths_) {
      if (path->engine == tried.engine && path->path == tried.path) {
        verdicts_[path] = {{"PATH_AVOIDED", tried.reason, "Restart the session to try it again."},
                           true};
      }
    }
  }
}

const EnginePath* PathPlan::Choose(const SourceOffer& offer) {
  chosen_ = nullptr;
  for (const EnginePath* path : paths_) {
    const auto known = verdicts_.find(path);
    if (known != verdicts_.end() && known->second.final) continue;
    verdicts_.erase(path);
    if (auto missing = FindMissing(*path, gpu_)) {
      verdicts_[path] = {std::move(*missing), true};
    } else if (path->input == PathInput::kDmaBuf && !offer.dmabuf) {
      verdicts_[path] = {{"PATH_UNFIT", "The source gives shared memory, and no dma-bufs.",
                          "Let the source offer dma-bufs of the GPU that encodes."},
                         false};
    } else if (path->input == PathInput::kSystem && offer.unreadable) {
      verdicts_[path] = {*offer.unreadable, false};
    } else {
      chosen_ = path;
      break;
    }
  }
  return chosen_;
}

void PathPlan::Fail(const EnginePath& path, const EngineError& error) {
  verdicts_[&path] = {error, true};
}

std::vector<TriedPath> PathPlan::tried() const {
  std::vector<TriedPath> tried;
  for (const EnginePath* path : paths_) {
    if (path == chosen_) break;
    const auto verdict = verdicts_.find(path);
    if (verdict == verdicts_.end()) continue;
    tried.push_back({path->engine, path->path, verdict->second.error.message});
  }
  return tried;
}

EngineError PathPlan::Exhausted() const {
  if (paths_.size() == 1 && verdicts_.contains(paths_[0])) return verdicts_.at(paths_[0]).error;
  std::string message = "No engine works:";
  for (const TriedPath& tried : tried()) {
    message += " " + tried.engine + " (" + tried.path + "): " + tried.reason;
  }
  return {"NO_ENGINE", std::move(message),
          "Install gstreamer1.0-plugins-ugly for x264, then run scanbridge probe."};
}

}  // namespace scanbridge::host
