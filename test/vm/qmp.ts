import { EventEmitter } from 'node:events';
import type { Duplex } from 'node:stream';
import { VmError } from './error.js';

/** What QEMU answers within; screendump of 16 heads under emulation takes far less. */
const ANSWER_SECONDS = 30;

/** A longer line from QEMU is a fault. */
const MAX_LINE_BYTES = 16 * 1024 * 1024;

interface Waiting {
  command: string;
  resolve: (value: unknown) => void;
  reject: (error: Error) => void;
  timer: NodeJS.Timeout;
}

/**
 * A QMP connection (QEMU's docs/interop/qmp-spec.rst).
 *
 * Events of QEMU are emitted under their own names, for example `RESET`, with their data.
 */
export class Qmp extends EventEmitter {
  readonly #socket: Duplex;
  readonly #waiting = new Map<number, Waiting>();
  #nextId = 1;
  #line = '';
  #closed: Error | undefined;

  private constructor(socket: Duplex) {
    super();
    this.#socket = socket;
    socket.setEncoding('utf8');
    socket.on('data', (text: string) => this.#receive(text));
    socket.on('error', () => undefined); // 'close' follows
    socket.on('close', () => this.#end('QEMU has closed its QMP connection'));
  }

  /** Takes over a connected socket and ends the capabilities negotiation. */
  static async open(socket: Duplex): Promise<Qmp> {
    const qmp = new Qmp(socket);
    await qmp.execute('qmp_capabilities');
    return qmp;
  }

  /**
   * Runs a QMP command.
   *
   * @throws VmError `QMP_FAILED` with QEMU's own description, or when QEMU does not answer.
   */
  execute(command: string, args: Record<string, unknown> = {}): Promise<unknown> {
    if (this.#closed) {
      return Promise.reject(this.#closed);
    }
    return new Promise((resolve, reject) => {
      const id = this.#nextId++;
      const timer = setTimeout(() => {
        this.#waiting.delete(id);
        const message = `QEMU did not answer ${command} within ${ANSWER_SECONDS} s: its main loop is stuck`;
        reject(new VmError('QMP_FAILED', message));
      }, ANSWER_SECONDS * 1000);
      this.#waiting.set(id, { command, resolve, reject, timer });
      this.#socket.write(`${JSON.stringify({ execute: command, arguments: args, id })}\n`);
    });
  }

  #receive(text: string): void {
    this.#line += text;
    if (this.#line.length > MAX_LINE_BYTES) {
      this.#end('QEMU sent a QMP line without an end');
      this.#socket.destroy();
      return;
    }
    let end = this.#line.indexOf('\n');
    while (end >= 0) {
      const line = this.#line.slice(0, end);
      this.#line = this.#line.slice(end + 1);
      this.#handle(JSON.parse(line));
      end = this.#line.indexOf('\n');
    }
  }

  #handle(message: {
    id?: number;
    event?: string;
    data?: unknown;
    return?: unknown;
    error?: { class: string; desc: string };
  }): void {
    if (message.event !== undefined) {
      this.emit(message.event, message.data);
      return;
    }
    const waiting = message.id === undefined ? undefined : this.#waiting.get(message.id);
    if (!waiting || message.id === undefined) {
      return; // the greeting, or an answer that came too late
    }
    this.#waiting.delete(message.id);
    clearTimeout(waiting.timer);
    if (message.error) {
      const text = `QMP ${waiting.command} failed: ${message.error.desc}`;
      waiting.reject(new VmError('QMP_FAILED', text));
    } else {
      waiting.resolve(message.return);
    }
  }

  #end(reason: string): void {
    this.#closed ??= new VmError('QMP_FAILED', reason);
    for (const waiting of this.#waiting.values()) {
      clearTimeout(waiting.timer);
      waiting.reject(this.#closed);
    }
    this.#waiting.clear();
  }
}
