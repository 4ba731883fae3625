// The agent's connection in a real guest reaches a real bridge over virtio-vsock-unix and over a virtio-serial port.
// TCP takes a network, which our QEMU is built without: host-bridge and guest-agent test it, each with a real socket.
import { cp, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { type Bridge, type BridgeOptions, startBridge } from '@scanbridge/bridge';
import test from 'ava';
import { Guest } from './guest.js';

const PORT = 8471;
const SERIAL_PORT = 'dev.scanbridge.agent';

let guest: Guest;
let directory: string;

const base = () => join(directory, 'v');
const serial = () => join(directory, 'serial');

test.before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'scanbridge-agent-'));
  guest = await Guest.boot({
    memory: 1024,
    qemuArgs: [
      ...['-device', `virtio-vsock-unix-pci,guest-cid=3,path=${base()}`],
      ...['-device', 'virtio-serial-pci,id=agents'],
      ...['-chardev', `socket,id=agent,path=${serial()},server=on,wait=off`],
      ...['-device', `virtserialport,bus=agents.0,chardev=agent,name=${SERIAL_PORT}`],
    ],
  });
  await guest.exec(['modprobe', '-a', 'vmw_vsock_virtio_transport', 'virtio_console']);
  // udev's rules name the ports.
  const trigger = 'udevadm trigger --action=add --subsystem-match=virtio-ports && udevadm settle';
  await guest.exec(['sh', '-c', trigger], { environment: { SYSTEMD_IGNORE_CHROOT: '1' } });
  await install();
});

test.after.always(async () => {
  await guest?.close();
  if (directory) await rm(directory, { recursive: true, force: true });
});

/** Puts the agent's connection, as it was compiled here, and what it imports into the guest. */
async function install(): Promise<void> {
  const stage = join(directory, 'at');
  const require = createRequire(import.meta.url);
  const put = async (name: string, from: string, ...parts: string[]) => {
    const to = join(stage, 'node_modules', name);
    for (const part of parts) await cp(join(from, part), join(to, part), { recursive: true });
  };
  const folder = (name: string) => dirname(require.resolve(`${name}/package.json`));
  const protocol = folder('@scanbridge/protocol');
  const vsock = folder('@scanbridge/native-vsock');
  await put('@scanbridge/protocol', protocol, 'package.json', 'dist/src');
  await put(
    '@scanbridge/native-vsock',
    vsock,
    ...['package.json', 'dist/lib', 'build/Release/scanbridge_vsock.node'],
  );
  const ofProtocol = createRequire(join(protocol, 'package.json'));
  for (const name of ['msgpackr', 'zod']) {
    const main = ofProtocol.resolve(name);
    const inside = join('node_modules', name);
    await put(name, main.slice(0, main.lastIndexOf(inside) + inside.length), '.');
  }
  const agent = join(folder('@scanbridge/agent'), 'dist/src');
  await mkdir(join(stage, 'agent'));
  for (const name of ['connection', 'transports', 'backoff', 'errors']) {
    await cp(join(agent, `${name}.js`), join(stage, 'agent', `${name}.js`));
  }
  const program = fileURLToPath(new URL('agent-transports-guest.js', import.meta.url));
  await cp(program, join(stage, 'agent.js'));
  await writeFile(join(stage, 'package.json'), '{"type":"module"}');
  await guest.copyIn([stage]);
}

/** The agent's connection in the guest, from start() to stop(). */
class GuestAgent {
  #said = '';
  #process: Awaited<ReturnType<Guest['start']>> | undefined;

  async start(addresses: readonly string[]) {
    const take = (data: Uint8Array) => {
      this.#said += Buffer.from(data).toString();
    };
    const argv = ['node', 'at/agent.js', ...addresses];
    this.#process = await guest.start(argv, { onStdout: take, onStderr: take });
    return this;
  }

  /** Waits until it has said something. */
  async says(what: RegExp): Promise<string> {
    for (let i = 0; i < 1200; i++) {
      if (what.test(this.#said)) return this.#said;
      await sleep(50);
    }
    throw new Error(`never said ${what}: ${this.#said}`);
  }

  forget(): void {
    this.#said = '';
  }

  async stop(): Promise<void> {
    await this.#process?.kill(9);
    await this.#process?.exit;
  }
}

async function withBridge(
  agents: NonNullable<BridgeOptions['agents']>,
  run: (bridge: Bridge) => Promise<void>,
): Promise<void> {
  const bridge = await startBridge({ agents });
  try {
    await run(bridge);
  } finally {
    await bridge.close();
  }
}

test.serial('vsock: the agent is welcomed, may not name paths, and comes back', async (t) => {
  const agent = await new GuestAgent().start([`vsock:2:${PORT}`]);
  const specs = [{ kind: 'vsock-unix', base: base(), port: PORT }] as const;
  // It was there before the bridge.
  await agent.says(/no connection to the bridge.*ECONNRESET/);
  await withBridge(specs, async (bridge) => {
    await agent.says(/"event":"connected"/);
    const said = await agent.says(/SOURCE_REFUSED/);
    t.regex(said, /is not on this machine/);
    t.deepEqual(bridge.sessions.list(), []);
  });
  await agent.says(/"event":"disconnected"/);
  agent.forget();
  await withBridge(specs, async () => {
    await agent.says(/"event":"connected"/);
  });
  await agent.stop();
  t.pass();
});

test.serial('virtio-serial: the agent is welcomed, and comes back to another bridge', async (t) => {
  const specs = [{ kind: 'serial', path: serial() }] as const;
  const agent = await new GuestAgent().start([`serial:/dev/virtio-ports/${SERIAL_PORT}`]);
  for (let life = 0; life < 2; life++) {
    agent.forget();
    await withBridge(specs, async () => {
      await agent.says(/"event":"connected"/);
      await agent.says(/SOURCE_REFUSED/);
    });
    await agent.says(/"event":"disconnected"/);
  }
  await agent.stop();
  t.pass();
});

test.serial('auto: vsock comes first, then virtio-serial', async (t) => {
  const agent = await new GuestAgent().start(['auto']);
  await withBridge([{ kind: 'serial', path: serial() }], async () => {
    t.regex(await agent.says(/"event":"connected"/), /"bridge":"serial:/);
  });
  await agent.says(/"event":"disconnected"/);
  agent.forget();
  await withBridge(
    [
      { kind: 'serial', path: serial() },
      { kind: 'vsock-unix', base: base(), port: PORT },
    ],
    async () => {
      t.regex(await agent.says(/"event":"connected"/), /"bridge":"vsock:2:8471"/);
    },
  );
  await agent.stop();
});
