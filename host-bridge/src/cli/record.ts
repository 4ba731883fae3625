// scanbridge record: a viewer that writes what it sees into a file.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { extname } from 'node:path';
import type { Writable } from 'node:stream';
import { CloseCode } from '@scanbridge/protocol/viewer';
import { VideoFlag } from '@scanbridge/protocol/viewer/video';
import { BridgeError, OptionError, reasonOf } from '../errors.js';
import { ViewerClient } from '../viewer-client.js';
import { type ClientArguments, tokenOf } from './ask.js';
import { streamStart, timedUnit } from './gdp.js';

/** With more waiting for the disk, access units are skipped up to the next key frame [bytes]. */
const MAX_WAITING = 32 * 1024 * 1024;
/** The first picture comes within this time, or there is none [ms]. */
const FIRST_PICTURE_MS = 10_000;

/** Where access units go. */
interface Sink {
  readonly stream: Writable;
  /** @param timeUs when the picture was made, since the first one [us] */
  write(accessUnit: Uint8Array, timeUs: bigint): void;
  /** Resolves when the file is complete. @throws {BridgeError} */
  finish(): Promise<void>;
}

function fileSink(path: string): Sink {
  const stream = createWriteStream(path);
  return {
    stream,
    write: (accessUnit) => stream.write(accessUnit),
    finish: async () => {
      stream.end();
      if (!stream.closed) await once(stream, 'close');
    },
  };
}

/** GStreamer makes the container. */
function matroskaSink(path: string): Sink {
  const child: ChildProcess = spawn(
    'gst-launch-1.0',
    [
      ...['--quiet', 'fdsrc', 'fd=0', '!', 'gdpdepay', '!', 'h264parse', '!', 'matroskamux', '!'],
      ...['filesink', `location=${path}`],
    ],
    { stdio: ['pipe', 'ignore', 'pipe'] },
  );
  let said = '';
  child.stderr?.on('data', (text: Buffer) => {
    said = (said + text.toString('utf8')).slice(0, 1000);
  });
  const exited = new Promise<number | string>((resolve) => {
    child.on('error', (error) => resolve(reasonOf(error)));
    child.on('close', (code, signal) => resolve(code ?? signal ?? 'unknown'));
  });
  const stream = child.stdin as Writable;
  stream.write(streamStart());
  return {
    stream,
    write: (accessUnit, timeUs) => {
      for (const part of timedUnit(accessUnit, timeUs)) stream.write(part);
    },
    finish: async () => {
      stream.end();
      const how = await exited;
      if (how === 0) return;
      throw new BridgeError(
        'RECORD_FAILED',
        `GStreamer could not write ${path} (${how}): ${said.trim()}`,
        'install gstreamer1.0-tools, -plugins-good and -plugins-bad, or record into a .h264 file',
      );
    },
  };
}

function sinkFor(path: string): Sink {
  const extension = extname(path).toLowerCase();
  if (extension === '.h264') return fileSink(path);
  if (extension === '.mkv') return matroskaSink(path);
  throw new OptionError(
    `${path} ends in none of the forms that can be written`,
    'use a name that ends in .mkv or .h264',
  );
}

export interface RecordArguments extends ClientArguments {
  readonly session: string;
  readonly file: string;
  readonly seconds?: number | undefined;
}

/** What a recording holds. */
export interface Recording {
  readonly units: number;
  readonly bytes: number;
}

/**
 * Records until `seconds` have passed, the session ends, or `stop` resolves.
 * @throws {BridgeError} when the bridge refuses, no picture comes, or the file cannot be written
 */
export async function record(args: RecordArguments, stop: Promise<unknown>): Promise<Recording> {
  const sink = sinkFor(args.file);
  const token = tokenOf(args);
  const client = new ViewerClient(args.bridge, args.session, token === undefined ? {} : { token });
  const recording = { units: 0, bytes: 0 };
  let waitForKey = true;
  let start: bigint | undefined;
  let timer: NodeJS.Timeout | undefined;
  const ended = new Promise<BridgeError | undefined>((resolve) => {
    let said: BridgeError | undefined;
    timer = setTimeout(() => {
      const message = `session ${args.session} showed no picture for ${FIRST_PICTURE_MS / 1000} s`;
      resolve(new BridgeError('NO_PICTURE', message, 'look at it with "scanbridge sessions"'));
    }, FIRST_PICTURE_MS);
    client.on('message', (message) => {
      if (message.type !== 'error') return;
      said = new BridgeError(message.code, message.message, 'see "scanbridge sessions"');
    });
    client.on('close', (code, reason) => {
      if (
        recording.units > 0 &&
        (code === CloseCode.SESSION_ENDED || code === CloseCode.SHUTDOWN)
      ) {
        resolve(undefined);
      } else {
        const message = `the bridge at ${args.bridge} closed the connection: ${code} ${reason}`;
        resolve(
          said ?? new BridgeError('NO_BRIDGE', message, 'is it running? name it with --bridge'),
        );
      }
    });
    client.on('unit', (header, accessUnit) => {
      const key = (header.flags & VideoFlag.KEY) !== 0;
      if (sink.stream.writableLength > MAX_WAITING) waitForKey = true;
      if (waitForKey && !key) return;
      waitForKey = false;
      if (recording.units === 0) {
        clearTimeout(timer);
        if (args.seconds !== undefined) timer = setTimeout(resolve, args.seconds * 1000, undefined);
      }
      recording.units++;
      recording.bytes += accessUnit.length;
      start ??= header.pts;
      sink.write(accessUnit, header.pts - start);
    });
    sink.stream.on('error', (error) => {
      const remedy = 'is there room, and may this user write there?';
      resolve(new BridgeError('RECORD_FAILED', `${args.file}: ${error.message}`, remedy));
    });
    stop.then(() => resolve(undefined));
  });
  const failure = await ended;
  clearTimeout(timer);
  await client.close();
  // A muxer that died says why; that is more than the broken pipe to it.
  await sink.finish().catch((error: unknown) => {
    throw error instanceof BridgeError ? error : (failure ?? error);
  });
  if (failure) throw failure;
  return recording;
}
