import type { ScanoutMode } from './lease.js';

/** Who switches scanouts: the host, through CONFIGURE_SCANOUT of the surface protocol at the end. */
export interface ScanoutHost {
  /**
   * Connects a display with this mode to a scanout, changes its mode, or disconnects it (`null`). Resolves when the host has
   * done it; the kernel learns of it by itself.
   *
   * @throws when the host cannot be asked or refuses; the message is shown to people.
   */
  configure(
    device: number,
    scanout: number,
    mode: ScanoutMode | null,
    signal: AbortSignal,
  ): Promise<void>;
}
