/**
 * The guest's side of agent-transports.integration.test.ts: the agent's own connection, without desktops.
 *
 *   agent-transports-guest ADDRESS...     as for `scanbridge-agent run --bridge`, tried in this order
 *
 * Lines of JSON on standard output: what is logged, and what happens. Runs until it is killed.
 */
import { randomUUID } from 'node:crypto';
import type { ToAgent } from '@scanbridge/protocol/agent';
import type { Logger } from 'pino';

/** What the test puts beside this file: guest-agent's modules, as they were compiled. */
interface ConnectionModule {
  BridgeConnection: new (
    options: { addresses: readonly unknown[]; name: string; instance: string },
    events: {
      connected(): void;
      message(message: ToAgent): void;
      disconnected(): void;
    },
    log: Logger,
  ) => { send(message: unknown): void };
}
interface TransportsModule {
  parseBridge(text: string): unknown[];
}

const load = (name: string): Promise<unknown> =>
  import(new URL(`agent/${name}.js`, import.meta.url).href);
const { BridgeConnection } = (await load('connection')) as ConnectionModule;
const { parseBridge } = (await load('transports')) as TransportsModule;

const tell = (value: unknown): void => {
  process.stdout.write(`${JSON.stringify(value)}\n`);
};
const say = (fields: unknown, message?: string) => tell({ log: message ?? fields, fields });
const log = { info: say, warn: say, error: say } as unknown as Logger;

const connection = new BridgeConnection(
  {
    addresses: process.argv.slice(2).flatMap((text) => parseBridge(text)),
    name: 'guest',
    instance: randomUUID(),
  },
  {
    connected: () => {
      tell({ event: 'connected' });
      // A path of the guest, which would be one of the host for the bridge.
      connection.send({
        type: 'session-open',
        session: 'desktop',
        title: 'Desktop',
        source: { kind: 'capture', socket: '/run/surface', capture: 1 },
        input: false,
        resizable: false,
      });
    },
    message: (message) => tell({ event: 'message', message }),
    disconnected: () => tell({ event: 'disconnected' }),
  },
  log,
);
// Nothing else keeps a process alive that waits between two attempts.
setInterval(() => undefined, 60_000);
