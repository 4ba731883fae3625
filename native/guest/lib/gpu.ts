import { addon } from './addon.js';

/** A format that a GPU can read, with its modifiers. */
export interface GpuFormat {
  /** DRM fourcc, e.g. "XR24". */
  format: string;
  modifiers: bigint[];
}

export interface Gpu {
  /** DRM render node. */
  path: string;
  /** Formats of captures that it can import, asked through GBM and EGL; empty when that failed. */
  formats: GpuFormat[];
  /** Why `formats` is empty. */
  error?: string;
}

/** Lists the render nodes of this machine and what each can import. */
export function listGpus(): Gpu[] {
  return addon.listGpus();
}
