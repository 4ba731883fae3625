// Starts real bridges with real engine workers for tests, and watches what viewers see.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ToViewer } from '@scanbridge/protocol/viewer';
import { VideoFlag, type VideoHeader } from '@scanbridge/protocol/viewer/video';
import type { ExecutionContext } from 'ava';
import { type Bridge, type BridgeOptions, startBridge } from '../src/index.js';
import { ViewerClient, type ViewerClientOptions } from '../src/viewer-client.js';

/** Small enough that its encoder costs nothing. */
export const SMALL = { id: 'test', width: 320, height: 180, fps: 30 } as const;

/** A bridge that ends with the test. */
export async function bridgeFor(t: ExecutionContext, options: BridgeOptions = {}): Promise<Bridge> {
  const bridge = await startBridge({ testPatterns: [SMALL], ...options });
  t.teardown(() => bridge.close());
  return bridge;
}

/** A folder that ends with the test; its path is short enough for sockets. */
export async function folderFor(t: ExecutionContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'sb-'));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

/** Waits until something is so; fails the test when it never is. */
export async function until(
  what: string,
  condition: () => boolean | Promise<boolean>,
  limitMs = 15_000,
): Promise<void> {
  const end = Date.now() + limitMs;
  while (!(await condition())) {
    if (Date.now() > end) throw new Error(`it never came to this: ${what}`);
    await sleep(10);
  }
}

/** A viewer that remembers. */
export class Watcher {
  readonly client: ViewerClient;
  readonly messages: ToViewer[] = [];
  readonly headers: VideoHeader[] = [];
  closed: { code: number; reason: string } | undefined;

  constructor(base: string, session: string, options: ViewerClientOptions = {}) {
    this.client = new ViewerClient(base, session, options);
    this.client.on('message', (message) => this.messages.push(message));
    this.client.on('unit', (header) => this.headers.push(header));
    this.client.on('close', (code, reason) => {
      this.closed = { code, reason };
    });
  }

  /** Messages of one type, in order. */
  of<T extends ToViewer['type']>(type: T): Extract<ToViewer, { type: T }>[] {
    return this.messages.filter((m): m is Extract<ToViewer, { type: T }> => m.type === type);
  }

  get states(): string[] {
    return this.of('state').map(({ state }) => state);
  }

  get sequences(): number[] {
    return this.headers.map(({ sequence }) => sequence);
  }

  /** Positions at which the sequence has a gap. */
  get gaps(): number[] {
    const s = this.sequences;
    return s.flatMap((n, i) => (i > 0 && n !== ((s[i - 1] as number) + 1) >>> 0 ? [i] : []));
  }

  units(count: number): Promise<void> {
    return until(`${count} access units`, () => this.headers.length >= count);
  }

  end(): Promise<void> {
    return until('the connection is closed', () => this.closed !== undefined);
  }
}

/** A viewer that ends with the test. */
export function watch(
  t: ExecutionContext,
  bridge: Bridge,
  session: string = SMALL.id,
  options: ViewerClientOptions = {},
): Watcher {
  const watcher = new Watcher(bridge.url, session, options);
  t.teardown(() => watcher.client.socket.terminate());
  return watcher;
}

export const isKey = (header: VideoHeader | undefined): boolean =>
  header !== undefined && (header.flags & VideoFlag.KEY) !== 0;

/** Whether a process exists. */
export function alive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
