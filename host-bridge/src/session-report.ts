// A session as the HTTP API, the command line and the metrics show it.
import type { SessionState } from '@scanbridge/protocol/viewer';
import type { LeaseReport } from './sources/scanout-leases.js';
import type { SourceSpec, TriedPath } from './worker/messages.js';

/** What is known of a session, as the HTTP API shows it. */
export interface SessionReport {
  readonly id: string;
  readonly title: string;
  readonly source: SourceSpec;
  /** The lease on its scanout, where an agent in the VM says that there is one. */
  readonly lease?: LeaseReport;
  readonly state: SessionState;
  readonly code?: string;
  readonly message?: string;
  readonly resizable: boolean;
  readonly input: boolean;
  readonly viewers: number;
  readonly engine: string;
  readonly path: string;
  /** Better paths than this one, and why they are not taken. */
  readonly tried?: readonly TriedPath[];
  readonly codec?: string;
  readonly width?: number;
  readonly height?: number;
  readonly fps: number;
  readonly bitrateKbps: number;
  readonly targetKbps: number;
  /** Pictures encoded since the session began, whatever the number of viewers. */
  readonly encoded: number;
  readonly dropped: number;
  readonly accessUnits: number;
  readonly keyFrames: number;
  readonly restarts: number;
  readonly workerPid?: number;
}
