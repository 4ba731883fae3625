// SPDX-License-Identifier: Apache-2.0
// Percentiles of the newest values.
#ifndef SCANBRIDGE_MACOS_CORE_PERCENTILES_H_
#define SCANBRIDGE_MACOS_CORE_PERCENTILES_H_

#include <stddef.h>
#include <stdint.h>

typedef struct {
  uint32_t p50, p95, p99;
} sbm_percentile_set;

enum { SBM_PERCENTILE_VALUES = 1024 };

/// Keeps the last 1024 values. Not thread-safe; all zero is empty.
typedef struct {
  uint32_t values[SBM_PERCENTILE_VALUES];
  size_t count;
} sbm_percentiles;

void sbm_percentiles_add(sbm_percentiles* self, uint64_t value);
sbm_percentile_set sbm_percentiles_get(const sbm_percentiles* self);

#endif
