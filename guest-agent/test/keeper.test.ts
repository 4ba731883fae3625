// The keeper of descriptors is a real process here, as in a VM.
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  acceptUnix,
  connectUnix,
  isSystemError,
  keeperProgram,
  listenUnix,
  receive,
  send,
} from '@scanbridge/native-guest/lease';
import test from 'ava';
import { Keeper } from '../src/leases/keeper.js';
import { Shelf } from '../src/leases/shelf.js';

let folder: string;
test.beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'scanbridge-keeper-'));
});
test.afterEach.always(async () => {
  await rm(folder, { recursive: true, force: true });
});

const unexpected = (reason: string) => {
  throw new Error(`the keeper was lost: ${reason}`);
};

test.serial('what one agent keeps, the next one finds: values and descriptors', async (t) => {
  t.true(existsSync(keeperProgram));
  const path = join(folder, 'keeper');
  const first = await Keeper.connect(path, unexpected);
  t.is(first.kept.size, 0);
  const listener = listenUnix(join(folder, 'kept'));
  const shelf = new Shelf(first.keeper, first.kept).within('lease').within('one');
  shelf.keep('seat', { answer: 42 }, listener);
  shelf.keep('plan', 'a');
  shelf.keep('plan', 'b');
  shelf.keep('gone', 0);
  shelf.forget('gone');
  // The agent dies.
  first.keeper.close();
  listener.close();

  const second = await Keeper.connect(path, unexpected);
  const found = new Shelf(second.keeper, second.kept);
  t.deepEqual(found.names(), ['lease']);
  const one = found.within('lease').within('one');
  t.deepEqual(one.names().sort(), ['plan', 'seat']);
  t.is(one.take('plan')?.value, 'b');
  t.is(one.take('plan'), undefined);
  const seat = one.take('seat');
  t.deepEqual(seat?.value, { answer: 42 });

  // It listens still.
  const descriptor = seat?.descriptor;
  if (descriptor === undefined) return t.fail('no descriptor was kept');
  const client = connectUnix(join(folder, 'kept'));
  const accepted = acceptUnix(descriptor);
  send(client, Buffer.from('hello'), []);
  t.is(receive(accepted, 100).data.toString(), 'hello');
  for (const open of [client, accepted, descriptor]) open.close();

  one.forget('plan');
  one.forget('seat');
  second.keeper.close();
  // A keeper that holds nothing ends, and a new one has nothing.
  await ended(path);
  const third = await Keeper.connect(path, unexpected);
  t.is(third.kept.size, 0);
  third.keeper.close();
});

test.serial('a second agent is told that there is one', async (t) => {
  const path = join(folder, 'keeper');
  const { keeper } = await Keeper.connect(path, unexpected);
  await t.throwsAsync(Keeper.connect(path, unexpected), { message: /another agent has/ });
  keeper.close();
});

test.serial(
  'what breaks the keeper’s protocol ends the connection, and what is kept stays',
  async (t) => {
    const path = join(folder, 'keeper');
    const first = await Keeper.connect(path, unexpected);
    first.keeper.keep('key', 'value');
    first.keeper.close();
    for (const garbage of ['ffffffffffffffff', '0900000000000000', '0101000000000000']) {
      const rude = connectUnix(path);
      send(rude, Buffer.from(garbage, 'hex'), []);
      await endOf(rude);
    }
    const second = await Keeper.connect(path, unexpected);
    t.is(second.kept.get('key')?.value, 'value');
    second.keeper.forget('key');
    second.keeper.close();
  },
);

/** Resolves when nobody listens there any more. */
async function ended(path: string): Promise<void> {
  for (let i = 0; i < 500; i++) {
    try {
      connectUnix(path).close();
    } catch (error) {
      if (isSystemError(error, 'ECONNREFUSED')) return;
      throw error;
    }
    await sleep(10);
  }
  throw new Error('the keeper does not end');
}

/** Resolves when the other side has closed. */
function endOf(socket: ReturnType<typeof connectUnix>): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.watch(() => {
      try {
        if (!receive(socket, 65_536).end) return;
      } catch (error) {
        if (isSystemError(error, 'EAGAIN')) return;
        if (!isSystemError(error, 'ECONNRESET')) return reject(error);
      }
      socket.close();
      resolve();
    });
  });
}
