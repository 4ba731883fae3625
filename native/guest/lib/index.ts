// Capture of Linux desktops: PipeWire streams in, surfaces of the surface protocol out.
export type { CaptureFormat, CaptureOptions, CaptureState, CaptureStats } from './capture.js';
export { Capture } from './capture.js';
export type { CaptureErrorCode, ScreenCastErrorCode, SurfaceServerErrorCode } from './errors.js';
export { CaptureError, ScreenCastError, SurfaceServerError } from './errors.js';
export type { Gpu, GpuFormat } from './gpu.js';
export { listGpus } from './gpu.js';
export type { CursorMode, MutterOptions, MutterRecord } from './mutter.js';
export { openMutterScreenCast, ScreenCastSession } from './mutter.js';
export type { PortalOptions, PortalStream } from './portal.js';
export { openPortalScreenCast, PortalSession } from './portal.js';
export type { SurfaceServerOptions, SurfaceServerStats } from './surface-server.js';
export { SurfaceServer } from './surface-server.js';
