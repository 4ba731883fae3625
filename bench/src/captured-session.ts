// A painted desktop as a user would stream it: agent and bridge as processes of their own, joined by their sockets.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AGENT_CLI, Started, startServe, streamUrl, waitForSession } from './processes.js';

export interface CapturedSession {
  /** WebSocket address of the stream. */
  readonly url: string;
  readonly bridge: Started;
  close(): Promise<void>;
}

/**
 * Starts bridge and agent for one PipeWire node.
 * @param origin of the page that is to watch
 * @param args further arguments of `scanbridge serve`
 */
export async function startCapturedSession(
  source: { readonly node: number; readonly env: Readonly<Record<string, string>> },
  origin: string,
  args: readonly string[] = [],
): Promise<CapturedSession> {
  const folder = await mkdtemp(join(tmpdir(), 'scanbridge-bench-'));
  const socket = join(folder, 'agent.sock');
  const serve = await startServe(['--agent-socket', socket, '--allow-origin', origin, ...args]);
  let agent: Started | undefined;
  const close = async () => {
    await agent?.stop();
    await serve.bridge.stop();
    await rm(folder, { recursive: true, force: true });
  };
  try {
    agent = await Started.node(
      AGENT_CLI,
      ['run', '--bridge', `unix:${socket}`, '--node', String(source.node)],
      /session/,
      { ...process.env, ...source.env },
    );
    const id = await waitForSession(serve.url);
    return { url: streamUrl(serve.url, id), bridge: serve.bridge, close };
  } catch (error) {
    await close();
    throw error;
  }
}
