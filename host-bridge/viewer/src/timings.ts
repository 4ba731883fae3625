// The stages of latency over the last seconds. Each stage is a duration taken on one clock of one machine; clocks of two
// machines are never subtracted (docs/protocols/viewer.md, Binary messages). A frame's latency is the sum of its stages.

export const STAGES = ['capture', 'encode', 'bridge', 'network', 'decode', 'render'] as const;
export type Stage = (typeof STAGES)[number];

/** A drawn picture: its stages [ms], and when it was drawn [ms]. */
export type Sample = Readonly<Record<Stage, number>> & { readonly at: number };

/** Mean and percentiles [ms]. */
export interface Spread {
  readonly mean: number;
  readonly p50: number;
  readonly p95: number;
}

export interface TimingSummary {
  /** Drawn pictures in the window. */
  readonly frames: number;
  readonly stages: Readonly<Record<Stage, Spread>>;
  /** Of the sum of each picture's stages; its mean is the sum of the stages' means. */
  readonly total: Spread;
}

/** Length of the window [ms], and the most samples that it holds; the oldest leave first. */
const WINDOW = 5_000;
const MAX_SAMPLES = 2_000;

function spread(values: number[]): Spread {
  values.sort((a, b) => a - b);
  const at = (quantile: number) =>
    values[Math.min(values.length - 1, Math.floor(values.length * quantile))] ?? 0;
  const sum = values.reduce((a, b) => a + b, 0);
  return { mean: values.length > 0 ? sum / values.length : 0, p50: at(0.5), p95: at(0.95) };
}

export class Timings {
  #samples: Sample[] = [];

  add(sample: Sample): void {
    this.#samples.push(sample);
    if (this.#samples.length >= MAX_SAMPLES) this.#samples.splice(0, MAX_SAMPLES / 2);
  }

  /** What the last seconds were like; undefined when no picture was drawn in them. */
  summary(now: number): TimingSummary | undefined {
    const first = this.#samples.findIndex((sample) => sample.at >= now - WINDOW);
    this.#samples = first < 0 ? [] : this.#samples.slice(first);
    const samples = this.#samples;
    if (samples.length === 0) return undefined;
    const stages = Object.fromEntries(
      STAGES.map((stage) => [stage, spread(samples.map((sample) => sample[stage]))]),
    ) as Record<Stage, Spread>;
    const total = spread(
      samples.map((sample) => STAGES.reduce((sum, stage) => sum + sample[stage], 0)),
    );
    return { frames: samples.length, stages, total };
  }
}

/** Counts events of the last second. */
export class Rate {
  #events: { at: number; amount: number }[] = [];

  add(at: number, amount = 1): void {
    this.#events.push({ at, amount });
    if (this.#events.length > MAX_SAMPLES) this.#events.splice(0, MAX_SAMPLES / 2);
  }

  /** Sum of what came in the second before `now`. */
  perSecond(now: number): number {
    this.#events = this.#events.filter((event) => event.at > now - 1_000);
    return this.#events.reduce((sum, event) => sum + event.amount, 0);
  }
}
