import { EventEmitter } from 'node:events';
import type { Duplex } from 'node:stream';
import { VmError } from './error.js';

// The wire format of guest/control.h.
const MAGIC = Buffer.from('\x7fSCANBRIDGE-VM\r\n', 'latin1');
const VERSION = 1;
const HEADER_SIZE = 12;
const MAX_PAYLOAD = 65536;
const STDIN_WINDOW = 262144;
const HELLO_SIZE = MAGIC.length + 8;
const FLAG_TTY = 1;

const START = 1;
const STDIN = 2;
const SIGNAL = 3;
const RESIZE = 4;
const HELLO = 16;
const STDOUT = 17;
const STDERR = 18;
const CREDIT = 19;
const EXITED = 20;
const FAILED = 21;

/**
 * Takes output of a command. The channel reads on when the returned promise resolves, so a slow sink
 * stops the guest instead of filling memory.
 */
export type OutputSink = (chunk: Buffer) => void | Promise<void>;

/** A command to run in the guest. */
export interface GuestCommand {
  argv: readonly string[];
  /** Working directory in the guest. */
  directory: string;
  /** Added to the guest's default environment. */
  environment: Readonly<Record<string, string>>;
  /** A terminal of this size instead of three pipes; all output is then standard output. */
  terminal: { rows: number; columns: number } | undefined;
  stdout: OutputSink;
  stderr: OutputSink;
}

/** How a command ended. */
export interface GuestExit {
  /** Exit status; 128 plus the signal's number if a signal ended it, as a shell says it. */
  status: number;
  /** The number of the signal that ended it, or 0. */
  signal: number;
}

/** A command that runs in the guest. */
export class GuestProcess {
  readonly id: number;
  readonly command: GuestCommand;
  /** Settles when the command has ended and all its output was taken. */
  readonly exit: Promise<GuestExit>;
  readonly #send: (type: number, payload: Buffer) => Promise<void>;
  #window = STDIN_WINDOW;
  #wake: (() => void) | undefined;
  #settled = false;
  #resolve!: (exit: GuestExit) => void;
  #reject!: (error: Error) => void;

  constructor(
    id: number,
    command: GuestCommand,
    send: (type: number, payload: Buffer) => Promise<void>,
  ) {
    this.id = id;
    this.command = command;
    this.#send = send;
    this.exit = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    this.exit.catch(() => undefined); // whoever awaits it sees the error
  }

  /** Writes standard input; waits while the guest's window is full. Stops quietly when the command ends. */
  async write(data: Buffer): Promise<void> {
    for (let at = 0; at < data.length && !this.#settled; ) {
      if (this.#window === 0) {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
        continue;
      }
      const size = Math.min(data.length - at, this.#window, MAX_PAYLOAD);
      this.#window -= size;
      await this.#send(STDIN, data.subarray(at, at + size));
      at += size;
    }
  }

  /** Ends standard input. */
  async end(): Promise<void> {
    if (!this.#settled) {
      await this.#send(STDIN, Buffer.alloc(0));
    }
  }

  /** Sends a signal, by its Linux number, to the command and everything that it started. */
  async kill(signal: number): Promise<void> {
    const payload = Buffer.alloc(4);
    payload.writeUInt32LE(signal);
    await this.#send(SIGNAL, payload);
  }

  /** Tells the command that its terminal has another size. */
  async resize(rows: number, columns: number): Promise<void> {
    const payload = Buffer.alloc(4);
    payload.writeUInt16LE(rows, 0);
    payload.writeUInt16LE(columns, 2);
    await this.#send(RESIZE, payload);
  }

  /** @internal The guest consumed this much input. */
  credit(bytes: number): void {
    this.#window += bytes;
    this.#wake?.();
  }

  /** @internal */
  settle(outcome: GuestExit | Error): void {
    this.#settled = true;
    this.#wake?.();
    if (outcome instanceof Error) {
      this.#reject(outcome);
    } else {
      this.#resolve(outcome);
    }
  }
}

/**
 * The host's end of the control channel (guest/control.h).
 *
 * Emits `hello` (milliseconds since the guest's kernel started) whenever the guest is ready for
 * commands: once after boot, and again after each reset.
 */
export class ControlChannel extends EventEmitter<{ hello: [number] }> {
  readonly #socket: Duplex;
  readonly #processes = new Map<number, GuestProcess>();
  #buffered = Buffer.alloc(0);
  #nextId = 1;
  /** Until the first hello, and from a reset on, there may be rests of a message in the stream. */
  #synchronised = false;
  #closed: VmError | undefined;

  /**
   * @param explain is asked, when the connection has broken, for the error that tells why; what broke is
   *   its argument.
   */
  constructor(socket: Duplex, explain: (what: string) => Promise<VmError>) {
    super();
    this.#socket = socket;
    socket.on('error', () => undefined); // ends the loop below
    void this.#receive(explain);
  }

  /**
   * Starts a command.
   *
   * @throws VmError `CHANNEL_BROKEN` if the guest is not ready, `BAD_OPTION` if the command line is
   *   too long. That a command cannot be started is told by `exit`.
   */
  async start(command: GuestCommand): Promise<GuestProcess> {
    if (this.#closed || !this.#synchronised) {
      throw this.#closed ?? new VmError('CHANNEL_BROKEN', 'the guest is not ready for commands');
    }
    const payload = encodeStart(command);
    const id = this.#nextId++;
    const process = new GuestProcess(id, command, (type, data) => this.#send(type, id, data));
    this.#processes.set(id, process);
    await this.#send(START, id, payload);
    return process;
  }

  /** Ends all commands with an error, because the guest was reset; waits for its next hello. */
  reset(): void {
    this.#synchronised = false;
    this.#buffered = Buffer.alloc(0);
    this.#failAll(new VmError('GUEST_RESET', 'the guest was reset while the command ran'));
  }

  /** Ends everything with this error; nothing can be started any more. */
  close(reason: VmError): void {
    this.#closed ??= reason;
    this.#failAll(this.#closed);
    this.#socket.destroy();
  }

  #failAll(error: VmError): void {
    for (const process of this.#processes.values()) {
      process.settle(error);
    }
    this.#processes.clear();
  }

  async #send(type: number, id: number, payload: Buffer): Promise<void> {
    if (this.#closed) {
      throw this.#closed;
    }
    const header = Buffer.alloc(HEADER_SIZE);
    header.writeUInt32LE(payload.length, 0);
    header.writeUInt16LE(type, 4);
    header.writeUInt32LE(id, 8);
    if (!this.#socket.write(Buffer.concat([header, payload]))) {
      await new Promise<void>((resolve) => {
        const done = () => {
          this.#socket.off('drain', done).off('close', done);
          resolve();
        };
        this.#socket.on('drain', done).on('close', done);
      });
    }
  }

  async #receive(explain: (what: string) => Promise<VmError>): Promise<void> {
    try {
      for await (const chunk of this.#socket) {
        this.#buffered = Buffer.concat([this.#buffered, chunk as Buffer]);
        await this.#takeMessages();
      }
      this.close(await explain('the control channel ended'));
    } catch (error) {
      this.close(
        error instanceof VmError ? error : await explain(`the control channel broke: ${error}`),
      );
    }
  }

  async #takeMessages(): Promise<void> {
    for (;;) {
      if (!this.#synchronised && !this.#synchronise()) {
        return;
      }
      if (this.#buffered.length < HEADER_SIZE) {
        return;
      }
      const length = this.#buffered.readUInt32LE(0);
      const type = this.#buffered.readUInt16LE(4);
      const id = this.#buffered.readUInt32LE(8);
      if (length > MAX_PAYLOAD) {
        throw new VmError('CHANNEL_BROKEN', `the guest sent a message of ${length} bytes`);
      }
      if (this.#buffered.length < HEADER_SIZE + length) {
        return;
      }
      const payload = this.#buffered.subarray(HEADER_SIZE, HEADER_SIZE + length);
      this.#buffered = this.#buffered.subarray(HEADER_SIZE + length);
      await this.#handle(type, id, payload);
    }
  }

  /** Drops what precedes the next HELLO. */
  #synchronise(): boolean {
    const at = this.#buffered.indexOf(MAGIC);
    if (at < HEADER_SIZE || this.#buffered.length < at + HELLO_SIZE) {
      return false;
    }
    this.#buffered = this.#buffered.subarray(at - HEADER_SIZE);
    this.#synchronised = true;
    return true;
  }

  async #handle(type: number, id: number, payload: Buffer): Promise<void> {
    if (type === HELLO) {
      const version = payload.readUInt32LE(MAGIC.length);
      if (version !== VERSION) {
        throw new VmError('CHANNEL_BROKEN', `the guest speaks version ${version}, not ${VERSION}`);
      }
      this.emit('hello', payload.readUInt32LE(MAGIC.length + 4));
      return;
    }
    const process = this.#processes.get(id);
    if (!process) {
      return; // it ended by a reset
    }
    switch (type) {
      case STDOUT:
        await process.command.stdout(payload);
        break;
      case STDERR:
        await process.command.stderr(payload);
        break;
      case CREDIT:
        process.credit(payload.readUInt32LE(0));
        break;
      case EXITED: {
        const signal = payload.readUInt32LE(4);
        const status = signal ? 128 + signal : payload.readUInt32LE(0);
        this.#processes.delete(id);
        process.settle({ status, signal });
        break;
      }
      case FAILED: {
        const errno = payload.readUInt32LE(0);
        this.#processes.delete(id);
        const why = errno === 2 ? 'no such command or directory in the guest' : `errno ${errno}`;
        const text = `cannot run "${process.command.argv[0]}" in the guest: ${why}`;
        process.settle(new VmError('EXEC_FAILED', text, { errno }));
        break;
      }
      default:
        throw new VmError('CHANNEL_BROKEN', `the guest sent a message of type ${type}`);
    }
  }
}

function encodeStart(command: GuestCommand): Buffer {
  const environment = Object.entries(command.environment).map(
    ([name, value]) => `${name}=${value}`,
  );
  const strings = [command.directory, ...command.argv, ...environment];
  if (command.argv.length === 0 || strings.some((text) => text.includes('\0'))) {
    throw new VmError('BAD_OPTION', 'a command needs a name, and no part of it may contain NUL');
  }
  const start = Buffer.alloc(12);
  start.writeUInt32LE(command.terminal ? FLAG_TTY : 0, 0);
  start.writeUInt16LE(command.terminal?.rows ?? 0, 4);
  start.writeUInt16LE(command.terminal?.columns ?? 0, 6);
  start.writeUInt16LE(Math.min(command.argv.length, 0xffff), 8);
  start.writeUInt16LE(Math.min(environment.length, 0xffff), 10);
  const payload = Buffer.concat([start, ...strings.map((text) => Buffer.from(`${text}\0`))]);
  if (payload.length > MAX_PAYLOAD) {
    const text = `the command line is ${payload.length} bytes long; the limit is ${MAX_PAYLOAD}: use standard input or copyIn`;
    throw new VmError('BAD_OPTION', text);
  }
  return payload;
}
