// SPDX-License-Identifier: Apache-2.0
// Which path is taken, which were given up, and why.
#ifndef SCANBRIDGE_HOST_ENGINE_PATH_PLAN_H_
#define SCANBRIDGE_HOST_ENGINE_PATH_PLAN_H_

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/engine_error.h"
#include "encode/engine_table.h"
#include "engine/events.h"

namespace scanbridge::host {

/// What the source gives at the moment.
struct SourceOffer {
  bool dmabuf = false;
  /// Why its pictures cannot be read by this process, where they cannot.
  std::optional<EngineError> unreadable;
};

/// Goes through paths in order. A path that failed is not taken again by this engine; one that does
/// not fit what the source gives may be taken when that changes. Of one thread.
class PathPlan {
 public:
  /// `avoided`: paths that have failed before this engine began, with the reasons.
  PathPlan(std::vector<const EnginePath*> paths, GpuChoice gpu,
           const std::vector<TriedPath>& avoided);

  bool empty() const { return paths_.empty(); }

  /// The first path that has not failed and fits; nullptr: there is none.
  const EnginePath* Choose(const SourceOffer& offer);

  /// The path does not work.
  void Fail(const EnginePath& path, const EngineError& error);

  /// The paths before the chosen one, with what kept them from being chosen.
  std::vector<TriedPath> tried() const;

  /// What to report when Choose had nothing.
  EngineError Exhausted() const;

 private:
  struct Verdict {
    EngineError error;
    /// For good, and not just for what the source gives now.
    bool final = false;
  };

  const std::vector<const EnginePath*> paths_;
  const GpuChoice gpu_;
  std::map<const EnginePath*, Verdict> verdicts_;
  const EnginePath* chosen_ = nullptr;
};

}  // namespace scanbridge::host

#endif  // SCANBRIDGE_HOST_ENGINE_PATH_PLAN_H_
