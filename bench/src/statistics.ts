// Order statistics; nothing here knows what is measured.

/** Value below which the given part (0..1) of the samples lies; NaN without samples. */
export function percentile(samples: readonly number[], part: number): number {
  if (samples.length === 0) return Number.NaN;
  const sorted = [...samples].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] as number;
}

export const median = (samples: readonly number[]): number => percentile(samples, 0.5);

/** Rounded to three decimals, so that a table can be read. */
export const rounded = (value: number): number => Math.round(value * 1000) / 1000;
