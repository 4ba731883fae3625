// scanbridge-agent lease run
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chown, mkdtemp, readFile, rm } from 'node:fs/promises';
import { constants, tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { HydraError, type Lease, LeaseClient, MANAGER_SOCKET } from '@scanbridge/hydra';
import type { Argv } from 'yargs';
import { OptionError } from '../errors.js';

/** Variables that another user's program gets of this process. */
const PASSED_ON = ['PATH', 'LANG', 'LC_ALL', 'TERM', 'TZ'];

export function leaseRunOptions(yargs: Argv) {
  return yargs
    .positional('program', {
      type: 'string',
      array: true,
      demandOption: true,
      describe: 'the compositor and its arguments, after --',
    })
    .option('size', { type: 'string', default: '1280x720', describe: 'of the display [pixels]' })
    .option('refresh', {
      type: 'number',
      describe: "of the display [Hz]; default: the GPU's choice",
    })
    .option('user', {
      type: 'string',
      describe: 'who runs it, as a name or a number; default: you, or nobody when you are root',
    })
    .option('owner', {
      type: 'string',
      describe: 'whose the lease is, for people; default: the program',
    })
    .option('socket', {
      type: 'string',
      default: MANAGER_SOCKET,
      describe: "the lease API's, of scanbridge-agent leases",
    })
    .example('$0 lease run -- sway', 'sway on a scanout of its own')
    .example('$0 lease run --user alice --size 1920x1080 -- weston', 'weston for alice');
}

type LeaseRunArguments = Awaited<ReturnType<typeof leaseRunOptions>['argv']>;

interface User {
  uid: number;
  gid: number;
  home: string;
}

/** @throws {OptionError} */
async function findUser(wanted: string | undefined): Promise<User> {
  const me = userInfo();
  const name = wanted ?? (me.uid === 0 ? 'nobody' : undefined);
  if (name === undefined) return { uid: me.uid, gid: me.gid, home: me.homedir };
  const passwd = await readFile('/etc/passwd', 'utf8');
  const line = passwd
    .split('\n')
    .map((text) => text.split(':'))
    .find(([login, , uid]) => login === name || uid === name);
  const id = Number(line?.[2] ?? name);
  if (!Number.isInteger(id) || id < 0) throw new OptionError(`There is no user ${name}.`);
  if (id === 0) throw new OptionError('A compositor does not run as root: name another --user.');
  if (me.uid !== 0 && id !== me.uid) {
    throw new OptionError(`Only root runs programs of others: leave out --user ${name}.`);
  }
  return { uid: id, gid: Number(line?.[3] ?? id), home: line?.[5] ?? '/' };
}

/** @throws {OptionError} */
function parseSize(size: string): { width: number; height: number } {
  const [, width, height] = /^(\d{2,5})x(\d{2,5})$/.exec(size) ?? [];
  if (width === undefined) throw new OptionError(`--size ${size}: write it as 1280x720.`);
  return { width: Number(width), height: Number(height) };
}

/** Takes a lease, runs the program on it, and gives the lease back when the program ends. */
export async function leaseRun(args: LeaseRunArguments): Promise<void> {
  const [command, ...rest] = args.program;
  if (command === undefined) throw new OptionError('Name a compositor after --.');
  const user = await findUser(args.user);
  const client = new LeaseClient({ socket: args.socket });
  const lease = await client.create({
    owner: (args.owner ?? command).slice(0, 128),
    ...parseSize(args.size),
    ...(args.refresh !== undefined && { refresh: args.refresh }),
    uid: user.uid,
    gid: user.gid,
  });
  process.stderr.write(
    `scanbridge-agent: ${lease.id}: ${lease.connector}, ${lease.width}x${lease.height}, for user ${user.uid}\n`,
  );
  const runtime = await mkdtemp(join(tmpdir(), 'scanbridge-lease-'));
  try {
    await chown(runtime, user.uid, user.gid);
    process.exitCode = await runOn(lease, user, runtime, command, rest);
  } finally {
    await rm(runtime, { recursive: true, force: true });
    await client.release(lease.id).catch((error: unknown) => {
      // As a rule it has ended with its holder.
      if (!(error instanceof HydraError && error.code === 'NO_SUCH_LEASE')) throw error;
    });
  }
}

/** Runs a program to its end, and resolves with its exit status as a shell says it. */
async function runOn(
  lease: Lease,
  user: User,
  runtime: string,
  command: string,
  args: readonly string[],
): Promise<number> {
  const foreign = user.uid !== process.getuid?.();
  const own = foreign
    ? Object.fromEntries(PASSED_ON.map((name) => [name, process.env[name]]))
    : process.env;
  const child = spawn(command, args, {
    stdio: 'inherit',
    cwd: foreign ? '/' : process.cwd(),
    env: { ...own, HOME: user.home, XDG_RUNTIME_DIR: runtime, ...lease.environment },
    // With these the supplementary groups are dropped as well.
    ...(foreign && { uid: user.uid, gid: user.gid }),
  });
  const pass = (signal: NodeJS.Signals) => child.kill(signal);
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
  for (const signal of signals) process.on(signal, pass);
  try {
    const [status, signal] = (await once(child, 'exit')) as [number | null, NodeJS.Signals | null];
    return signal === null ? (status ?? 1) : 128 + constants.signals[signal];
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new OptionError(`${command} cannot be started: ${reason}`);
  } finally {
    for (const signal of signals) process.off(signal, pass);
  }
}
