// The statistics overlay: where the time goes, and what the stream is like.
import { element, setText } from './element.js';
import type { StreamStats } from './stream.js';
import { STAGES, type Stage, type TimingSummary } from './timings.js';

const STAGE_HELP: Readonly<Record<Stage, string>> = {
  capture: 'picture made until it reached the engine worker',
  encode: 'reached the engine worker until the access unit came out',
  bridge: 'access unit out until it was handed to the network',
  network: 'half of the round trip to this viewer',
  decode: 'received until the picture left the decoder',
  render: 'picture out until it was drawn',
};

const ms = (value: number) => value.toFixed(1);
const rate = (value: number) =>
  value >= 1000 ? `${(value / 1000).toFixed(1)} Mbit/s` : `${Math.round(value)} kbit/s`;

/** Rounded so that what is shown adds up: the total is the sum of the shown stages. */
function shownMeans(timings: TimingSummary): { stages: Record<Stage, number>; total: number } {
  const round = (value: number) => Math.round(value * 10) / 10;
  const stages = Object.fromEntries(
    STAGES.map((stage) => [stage, round(timings.stages[stage].mean)]),
  ) as Record<Stage, number>;
  return { stages, total: round(STAGES.reduce((sum, stage) => sum + stages[stage], 0)) };
}

interface Row {
  readonly segment: HTMLElement;
  readonly mean: HTMLElement;
  readonly p50: HTMLElement;
  readonly p95: HTMLElement;
}

export class StatsPanel {
  readonly element: HTMLElement;
  readonly #total = element('strong', { class: 'stats-total' }, '–');
  readonly #note = element('p', { class: 'stats-note' });
  readonly #rows = new Map<Stage | 'total', Row>();
  readonly #facts = new Map<string, HTMLElement>();
  readonly #list = element('dl', { class: 'stats-facts' });

  constructor() {
    const bar = element('div', { class: 'stats-bar', 'aria-hidden': 'true' });
    const body = element('tbody');
    for (const name of [...STAGES, 'total'] as const) {
      const row: Row = {
        segment: element('span', { class: `segment stage-${name}` }),
        mean: element('td'),
        p50: element('td'),
        p95: element('td'),
      };
      if (name !== 'total') bar.append(row.segment);
      this.#rows.set(name, row);
      const title = name === 'total' ? 'sum of the stages of each picture' : STAGE_HELP[name];
      const swatch = element('span', { class: `swatch stage-${name}`, 'aria-hidden': 'true' });
      body.append(
        element(
          'tr',
          { class: `row-${name}`, title },
          element('th', { scope: 'row' }, swatch, name),
          row.mean,
          row.p50,
          row.p95,
        ),
      );
    }
    const heading = ['', 'mean', 'p50', 'p95'].map((text) =>
      element('th', { class: 'stats-heading', scope: 'col' }, text),
    );
    this.element = element(
      'aside',
      { class: 'stats', 'aria-label': 'Statistics', hidden: true },
      element(
        'header',
        { class: 'stats-head' },
        element('span', { class: 'stats-label' }, 'Latency, mean of 5 s'),
        element('span', {}, this.#total, element('span', { class: 'unit' }, ' ms')),
      ),
      bar,
      element(
        'table',
        { class: 'stats-stages' },
        element('thead', {}, element('tr', {}, ...heading)),
        body,
      ),
      this.#note,
      this.#list,
    );
  }

  update(stats: StreamStats, scale: number): void {
    this.#updateStages(stats);
    const { bridge } = stats;
    const fact = (name: string, text: string | undefined) => this.#fact(name, text ?? '–');
    fact(
      'Picture',
      stats.width > 0
        ? `${stats.width} × ${stats.height}, shown at ${Math.round(scale * (devicePixelRatio || 1) * 100)} %`
        : undefined,
    );
    fact('Rate', `${stats.receivedPerSecond} received, ${stats.drawnPerSecond} drawn per second`);
    fact(
      'Bitrate',
      bridge ? `${rate(stats.bitrate)} of ${rate(bridge.target)}` : rate(stats.bitrate),
    );
    fact('Codec', stats.codec);
    fact('Engine', bridge?.engine);
    fact('Path', bridge?.path);
    fact('Viewers', bridge ? String(bridge.viewers) : undefined);
    fact('Round trip', bridge?.rtt === undefined ? undefined : `${ms(bridge.rtt)} ms`);
    fact(
      'Dropped',
      `${bridge?.dropped ?? 0} before encoding, ${stats.superseded} replaced before drawing`,
    );
    fact(
      'Skipped',
      `${bridge?.skipped ?? 0} for this viewer, ${stats.discarded} discarded without a key frame`,
    );
    fact('Sequence', `${stats.lastSequence ?? '–'}, ${stats.gaps} gaps`);
    fact(
      'Decoder',
      `${stats.queued} waiting, ${stats.decoderRestarts} restarts, ${stats.connects} ${
        stats.connects === 1 ? 'connection' : 'connections'
      }`,
    );
  }

  #updateStages({ timings, bridge }: StreamStats): void {
    if (!timings) {
      setText(this.#total, '–');
      for (const row of this.#rows.values()) {
        row.segment.style.flexGrow = '0';
        for (const cell of [row.mean, row.p50, row.p95]) setText(cell, '–');
      }
      setText(this.#note, 'No new picture in the last seconds: a still desktop sends none.');
      return;
    }
    const shown = shownMeans(timings);
    setText(this.#total, ms(shown.total));
    for (const [name, row] of this.#rows) {
      const spread = name === 'total' ? timings.total : timings.stages[name];
      const mean = name === 'total' ? shown.total : shown.stages[name];
      row.segment.style.flexGrow = String(mean);
      setText(row.mean, ms(mean));
      setText(row.p50, ms(spread.p50));
      setText(row.p95, ms(spread.p95));
    }
    setText(
      this.#note,
      bridge?.rtt === undefined
        ? 'The round trip is not measured yet: network counts as 0.'
        : 'Drawn means in the canvas; the display adds its own refresh.',
    );
  }

  #fact(name: string, text: string): void {
    let value = this.#facts.get(name);
    if (!value) {
      value = element('dd');
      this.#facts.set(name, value);
      this.#list.append(element('div', {}, element('dt', {}, name), value));
    }
    setText(value, text);
  }
}
