// The connection to scanbridge-keeper (native/guest/src/lease/keeper.cc), a small process that keeps descriptors for an agent that
// dies: the DRM master, without which the kernel ends all leases, and the seats' connections, without which compositors end.
import { spawn } from 'node:child_process';
import {
  connectUnix,
  type Descriptor,
  isSystemError,
  keeperProgram,
  listenUnix,
  receive,
  send,
} from '@scanbridge/native-guest/lease';

const HEADER = 8;
const KEEP = 1;
const FORGET = 2;
const END = 3;
const READ_SIZE = 65_536;
/** The keeper serves one agent at a time; this long one waits for its turn [ms]. */
const TURN_LIMIT = 5000;

/** What was kept. */
export interface Kept {
  value: unknown;
  descriptor: Descriptor | undefined;
}

/** One connection, on which everything is written through. */
export class Keeper {
  private constructor(
    private readonly socket: Descriptor,
    private readonly lost: (reason: string) => void,
  ) {}

  /**
   * Connects to the keeper at this path, or starts one.
   *
   * @param lost is called when the keeper has gone: nothing is kept any more
   * @returns what an agent before has left there
   * @throws when another agent has it, or it cannot be started
   */
  static async connect(
    path: string,
    lost: (reason: string) => void,
  ): Promise<{ keeper: Keeper; kept: Map<string, Kept> }> {
    const socket = connectOrStart(path);
    try {
      const kept = await receiveAll(socket);
      const keeper = new Keeper(socket, lost);
      // It says nothing more, but its end is heard.
      socket.watch(() => keeper.#drop('it has ended'));
      return { keeper, kept };
    } catch (error) {
      socket.close();
      throw error;
    }
  }

  /** Keeps a value, and a copy of the descriptor if there is one (else the one before), until forget(). */
  keep(key: string, value: unknown, descriptor?: Descriptor): void {
    this.#send(KEEP, key, Buffer.from(JSON.stringify(value)), descriptor);
  }

  forget(key: string): void {
    this.#send(FORGET, key, Buffer.alloc(0));
  }

  /** Leaves; a keeper that holds nothing ends. */
  close(): void {
    this.socket.close();
  }

  #send(kind: number, key: string, value: Buffer, descriptor?: Descriptor): void {
    if (!this.socket.open) return;
    const name = Buffer.from(key);
    const header = Buffer.alloc(HEADER);
    header.writeUInt8(kind, 0);
    header.writeUInt8(descriptor === undefined ? 0 : 1, 1);
    // Machine's order; all machines that Node runs this on are little-endian.
    header.writeUInt16LE(name.length, 2);
    header.writeUInt32LE(value.length, 4);
    try {
      const bytes = Buffer.concat([header, name, value]);
      send(this.socket, bytes, descriptor === undefined ? [] : [descriptor]);
    } catch (error) {
      this.#drop(error instanceof Error ? error.message : String(error));
    }
  }

  #drop(reason: string): void {
    if (!this.socket.open) return;
    this.socket.close();
    this.lost(reason);
  }
}

function connectOrStart(path: string): Descriptor {
  try {
    return connectUnix(path);
  } catch (error) {
    if (!isSystemError(error, 'ENOENT') && !isSystemError(error, 'ECONNREFUSED')) throw error;
  }
  const listener = listenUnix(path);
  try {
    // A session of its own: what ends the agent's does not end it.
    const child = spawn(keeperProgram, [], {
      detached: true,
      stdio: ['ignore', 'ignore', 'ignore', listener.fd],
      cwd: '/',
    });
    child.on('error', () => undefined); // its silence is an error, too
    child.unref();
    return connectUnix(path);
  } finally {
    listener.close();
  }
}

function receiveAll(socket: Descriptor): Promise<Map<string, Kept>> {
  return new Promise((resolve, reject) => {
    const kept = new Map<string, Kept>();
    const descriptors: Descriptor[] = [];
    let held: Buffer = Buffer.alloc(0);
    const fail = (error: Error) => {
      stop();
      for (const descriptor of descriptors) descriptor.close();
      for (const { descriptor } of kept.values()) descriptor?.close();
      reject(error);
    };
    const limit = setTimeout(
      () => fail(new Error('another agent has the keeper of descriptors: end that first')),
      TURN_LIMIT,
    );
    const stop = () => {
      clearTimeout(limit);
      socket.watch(null);
    };
    socket.watch(() => {
      try {
        const received = receive(socket, READ_SIZE);
        if (received.end) throw new Error('the keeper of descriptors has ended');
        descriptors.push(...received.descriptors);
        held = Buffer.concat([held, received.data]);
        for (;;) {
          if (held.length < HEADER) return;
          const key = held.readUInt16LE(2);
          const value = held.readUInt32LE(4);
          const size = HEADER + key + value;
          if (held.length < size) return;
          if (held.readUInt8(0) === END) break;
          const descriptor = held.readUInt8(1) === 1 ? descriptors.shift() : undefined;
          kept.set(held.subarray(HEADER, HEADER + key).toString(), {
            value: JSON.parse(held.subarray(HEADER + key, size).toString()),
            descriptor,
          });
          held = held.subarray(size);
        }
        stop();
        resolve(kept);
      } catch (error) {
        if (!isSystemError(error, 'EAGAIN')) fail(error as Error);
      }
    });
  });
}
