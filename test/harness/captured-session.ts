// A desktop as a user would stream it: agent and bridge as processes of their own, joined by their sockets.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AGENT_CLI, Started, startServe, streamUrl, waitForSession } from './processes.js';

export interface CapturedSession {
  /** WebSocket address of the stream. */
  readonly url: string;
  readonly bridge: Started;
  readonly agent: Started;
  /** Address of the bridge's page and API. */
  readonly base: string;
  close(): Promise<void>;
}

/** What `scanbridge-agent run` is to capture. */
export interface Captured {
  /** Its arguments, as `--node 42` or `--mutter ADDRESS`. */
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

/**
 * Starts bridge and agent for one source.
 * @param origin of the page that is to watch
 * @param args further arguments of `scanbridge serve`
 */
export async function startCapturedSession(
  source: Captured,
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
      ['run', '--bridge', `unix:${socket}`, ...source.args],
      /session/,
      { ...process.env, ...source.env },
    );
    const id = await waitForSession(serve.url);
    return { url: streamUrl(serve.url, id), bridge: serve.bridge, agent, base: serve.url, close };
  } catch (error) {
    await close();
    throw error;
  }
}
