// Figures for Prometheus. They are read from the sessions when somebody asks, so they cost nothing between.
import { Gauge, Registry } from 'prom-client';
import type { Session } from './session.js';
import type { SessionRegistry } from './session-registry.js';
import type { SessionReport } from './session-report.js';

interface Figure {
  readonly name: string;
  readonly help: string;
  readonly value: (report: SessionReport, session: Session) => number;
}

const skipped = (session: Session): number =>
  [...session.viewers].reduce((sum, viewer) => sum + viewer.flow.skipped, 0);

const FIGURES: readonly Figure[] = [
  { name: 'viewers', help: 'Viewers of the session', value: (r) => r.viewers },
  { name: 'live', help: '1 while the session has a picture', value: (r) => +(r.state === 'live') },
  {
    name: 'encoded_pictures_total',
    help: 'Pictures encoded, whatever the number of viewers',
    value: (r) => r.encoded,
  },
  {
    name: 'dropped_pictures_total',
    help: 'Pictures replaced by newer ones before encoding',
    value: (r) => r.dropped,
  },
  {
    name: 'access_units_total',
    help: 'Access units that the bridge took from the engine worker',
    value: (r) => r.accessUnits,
  },
  { name: 'key_frames_total', help: 'Key frames among them', value: (r) => r.keyFrames },
  {
    name: 'worker_restarts_total',
    help: 'Engine workers started after the first one',
    value: (r) => r.restarts,
  },
  {
    name: 'frames_per_second',
    help: 'Access units in the last second',
    value: (r) => r.fps,
  },
  {
    name: 'bitrate_bits_per_second',
    help: 'Size of the stream',
    value: (r) => r.bitrateKbps * 1000,
  },
  {
    name: 'target_bitrate_bits_per_second',
    help: 'What the encoder is asked for',
    value: (r) => r.targetKbps * 1000,
  },
  {
    name: 'viewers_skipped_access_units',
    help: 'Access units that the present viewers were spared because they were behind',
    value: (_, session) => skipped(session),
  },
];

/** The registry of one bridge. */
export function createMetrics(sessions: SessionRegistry): Registry {
  const registry = new Registry();
  new Gauge({
    name: 'scanbridge_sessions',
    help: 'Sessions of this bridge',
    registers: [registry],
    collect() {
      this.set(sessions.list().length);
    },
  });
  for (const { name, help, value } of FIGURES) {
    new Gauge({
      name: `scanbridge_session_${name}`,
      help,
      labelNames: ['session'],
      registers: [registry],
      collect() {
        this.reset();
        for (const session of sessions.list()) {
          this.set({ session: session.id }, value(session.report(), session));
        }
      },
    });
  }
  new Gauge({
    name: 'scanbridge_process_resident_memory_bytes',
    help: 'Memory of the bridge, its workers not counted',
    registers: [registry],
    collect() {
      this.set(process.memoryUsage.rss());
    },
  });
  return registry;
}
