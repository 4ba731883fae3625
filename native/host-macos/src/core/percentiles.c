// SPDX-License-Identifier: Apache-2.0
#include "core/percentiles.h"

#include <stdlib.h>
#include <string.h>

void sbm_percentiles_add(sbm_percentiles* self, uint64_t value) {
  self->values[self->count++ % SBM_PERCENTILE_VALUES] =
      value > UINT32_MAX ? UINT32_MAX : (uint32_t)value;
}

static int compare(const void* a, const void* b) {
  const uint32_t left = *(const uint32_t*)a, right = *(const uint32_t*)b;
  return (left > right) - (left < right);
}

sbm_percentile_set sbm_percentiles_get(const sbm_percentiles* self) {
  uint32_t sorted[SBM_PERCENTILE_VALUES];
  const size_t size = self->count < SBM_PERCENTILE_VALUES ? self->count : SBM_PERCENTILE_VALUES;
  if (size == 0) return (sbm_percentile_set){0, 0, 0};
  memcpy(sorted, self->values, size * sizeof *sorted);
  qsort(sorted, size, sizeof *sorted, compare);
  return (sbm_percentile_set){sorted[(size - 1) * 50 / 100], sorted[(size - 1) * 95 / 100],
                              sorted[(size - 1) * 99 / 100]};
}
