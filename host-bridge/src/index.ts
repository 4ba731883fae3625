// The bridge as a library: what the command line does, for programs.

export { parseToken, type TokenSpec } from './auth.js';
export { type BitrateBounds, DEFAULT_BOUNDS } from './bitrate.js';
export { type Bridge, type BridgeOptions, startBridge, type TestPatternOptions } from './bridge.js';
export { BridgeError, ListenError, OptionError, WorkerError } from './errors.js';
export { createLog } from './log.js';
export { Session } from './session.js';
export type { SessionRegistry } from './session-registry.js';
export type { SessionReport } from './session-report.js';
export type { ScanoutOptions } from './sources/scanouts.js';
export { ViewerClient, type ViewerClientOptions } from './viewer-client.js';
export type { Access } from './viewers/connection.js';
export type { EngineReport, SourceSpec } from './worker/messages.js';
