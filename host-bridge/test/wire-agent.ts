// An agent that is all wire: says what a test wants it to say.
import { connect, Socket } from 'node:net';
import { join } from 'node:path';
import {
  AgentDecoder,
  encodeAgent,
  type FromAgent,
  type ToAgent,
} from '@scanbridge/protocol/agent';
import type { ExecutionContext } from 'ava';
import type { Bridge } from '../src/index.js';
import { bridgeFor, folderFor, until } from './running-bridge.js';

const INSTANCE = '7b3c6a56-6d2e-4c53-9a0c-0a4f6f6f1f10';

export const HELLO: Extract<FromAgent, { type: 'hello' }> = {
  type: 'hello',
  version: 1,
  name: 'Desk One',
  instance: INSTANCE,
  capabilities: [],
};

export const OPEN: Extract<FromAgent, { type: 'session-open' }> = {
  type: 'session-open',
  session: 'main',
  title: 'Main desktop',
  source: { kind: 'capture', socket: '/nonexistent/surface.sock', capture: 1 },
  input: true,
  resizable: true,
};

/** One connection of an agent. */
export class Agent {
  readonly socket: Socket;
  readonly messages: ToAgent[] = [];
  closed = false;

  /** @param to where the bridge listens, or a stream that leads to it */
  constructor(t: ExecutionContext, to: string | { port: number } | Socket) {
    this.socket = to instanceof Socket ? to : connect(to as string);
    const decoder = new AgentDecoder('bridge');
    this.socket
      .on('data', (chunk) => {
        for (const message of decoder.push(chunk)) {
          if (message.type === 'ping') this.send({ type: 'pong', token: message.token });
          else this.messages.push(message);
        }
      })
      .on('error', () => undefined)
      .on('close', () => {
        this.closed = true;
      });
    t.teardown(() => this.socket.destroy());
  }

  send(...messages: readonly FromAgent[]): this {
    for (const message of messages) this.socket.write(encodeAgent(message));
    return this;
  }

  async got<T extends ToAgent['type']>(type: T): Promise<Extract<ToAgent, { type: T }>> {
    const find = () => this.messages.find((m) => m.type === type);
    await until(`the agent gets ${type}`, () => find() !== undefined);
    return find() as Extract<ToAgent, { type: T }>;
  }

  end(): Promise<void> {
    return until('the connection is closed', () => this.closed);
  }
}

/** A bridge that listens for agents. */
export async function agentBridge(t: ExecutionContext): Promise<{ bridge: Bridge; path: string }> {
  const path = join(await folderFor(t), 'agents.sock');
  return {
    bridge: await bridgeFor(t, { testPatterns: [], agents: [{ kind: 'unix', path }] }),
    path,
  };
}
