// A PipeWire daemon and a source that paints time stamps, no compositor, so that
// what is measured is capture, encoding, transport and decoding.
import { MediaSession } from '@scanbridge/agent/desktop';
import type { Captured } from './captured-session.js';

export interface PaintedDesktop extends Captured {
  readonly node: number;
  close(): Promise<void>;
}

/** @param args further arguments of pw-painter, as `--still`. */
export async function startPaintedDesktop(
  width: number,
  height: number,
  fps: number,
  args: readonly string[] = [],
): Promise<PaintedDesktop> {
  const session = await MediaSession.start();
  try {
    const painter = await session.runOwn('pw-painter', [
      `--size=${width}x${height}`,
      `--fps=${fps}`,
      ...args,
    ]);
    const [, node] = await painter.output(/^node (\d+)/m);
    return {
      node: Number(node),
      args: ['--node', String(node)],
      env: session.env,
      close: () => session.close(),
    };
  } catch (error) {
    await session.close();
    throw error;
  }
}
