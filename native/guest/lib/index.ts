// Capture of Linux desktops: PipeWire streams in, surfaces of the surface protocol or ids of virtio-gpu resources out.
export type {
  CaptureFormat,
  CaptureHost,
  CaptureOptions,
  CaptureState,
  CaptureStats,
} from './capture.js';
export { Capture } from './capture.js';
export type {
  CaptureErrorCode,
  ScreenCastErrorCode,
  SurfaceServerErrorCode,
  VirtioGpuErrorCode,
} from './errors.js';
export { CaptureError, ScreenCastError, SurfaceServerError, VirtioGpuError } from './errors.js';
export type { Gpu, GpuFormat } from './gpu.js';
export { listGpus } from './gpu.js';
export type { CursorMode, MutterOptions, MutterRecord } from './mutter.js';
export { openMutterScreenCast, ScreenCastSession } from './mutter.js';
export type { PortalOptions, PortalStream } from './portal.js';
export { openPortalScreenCast, PortalSession } from './portal.js';
export type {
  SurfaceCaptureOptions,
  SurfaceServerOptions,
  SurfaceServerStats,
} from './surface-server.js';
export { SurfaceCapture, SurfaceServer } from './surface-server.js';
export type {
  ResourceCaptureStats,
  ResourceFrame,
  ResourceGeometry,
  SourceBuffer,
  VirtioGpuNode,
} from './virtio-gpu.js';
export { listVirtioGpus, ResourceCapture, ResourceFrames, VirtioGpu } from './virtio-gpu.js';
