// Bridge and agent on one machine: descriptors, by the surface protocol.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Capture, SurfaceCapture, SurfaceServer } from '@scanbridge/native-guest';
import type { PictureLink, PictureWay } from './way.js';

export class Surfaces implements PictureWay<SurfaceCapture> {
  private constructor(
    readonly host: SurfaceServer,
    private readonly folder: string | undefined,
  ) {}

  /**
   * @param name of the agent
   * @param socket where surfaces are served. Default: a new private folder in XDG_RUNTIME_DIR or the temporary folder
   * @throws {SurfaceServerError}
   */
  static async serve(name: string, socket?: string): Promise<Surfaces> {
    const folder =
      socket === undefined
        ? await mkdtemp(join(process.env.XDG_RUNTIME_DIR ?? tmpdir(), 'scanbridge-agent-'))
        : undefined;
    try {
      const path = socket ?? join(folder as string, 'surface');
      return new Surfaces(new SurfaceServer({ path, name }), folder);
    } catch (error) {
      if (folder !== undefined) await rm(folder, { recursive: true, force: true });
      throw error;
    }
  }

  link(_session: string, capture: Capture): PictureLink {
    if (!(capture instanceof SurfaceCapture)) throw new TypeError('not a capture of this way');
    return {
      source: { kind: 'capture', socket: this.host.path, capture: capture.id },
      accepted: () => {},
      message: () => {},
      close: () => {},
    };
  }

  async close(): Promise<void> {
    await this.host.close();
    if (this.folder !== undefined) await rm(this.folder, { recursive: true, force: true });
  }
}
