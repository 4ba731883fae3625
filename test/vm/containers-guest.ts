// What containers.integration.test.ts runs in the guest: the container manager's part, by the client package. Commands and
// answers are lines of JSON.
import { createInterface } from 'node:readline';
import { type HydraError, LeaseClient, type LeaseEvent, OwnLeaseClient } from '@scanbridge/hydra';

type Method = 'create' | 'list' | 'resize' | 'release' | 'scanouts' | 'health';
type Command =
  | { serial: number; call: Method; args: unknown[] }
  /** One request of a container's, with any socket and token. */
  | { serial: number; call: 'own'; args: [socket: string, token: string] };

const tell = (value: unknown): void => {
  process.stdout.write(`${JSON.stringify(value)}\n`);
};
const client = new LeaseClient({ timeout: 60_000 });

async function run(command: Command): Promise<unknown> {
  if (command.call === 'own') {
    const [socket, token] = command.args;
    return await new OwnLeaseClient({ socket, token }).get();
  }
  return await (client[command.call] as (...args: unknown[]) => unknown)(...command.args);
}

async function follow(): Promise<void> {
  for await (const event of client.events(new AbortController().signal)) {
    tell({ event: event satisfies LeaseEvent });
  }
}

follow().catch((error: Error) => tell({ ended: error.message }));
for await (const line of createInterface({ input: process.stdin })) {
  const command = JSON.parse(line) as Command;
  run(command).then(
    (result) => tell({ serial: command.serial, result: result ?? null }),
    (error: HydraError) =>
      tell({ serial: command.serial, error: { code: error.code, message: error.message } }),
  );
}
