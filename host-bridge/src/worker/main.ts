// An engine worker: one process that takes the pictures of one session and encodes them. It lives as long as the
// bridge's IPC channel; whatever it does wrong ends this process and nothing else.
import { Socket } from 'node:net';
import { reasonOf } from '../errors.js';
import { EngineHandle, findImporters, probeEngines } from './engine.js';
import { MediaPipe } from './media-pipe.js';
import { type Codec, ToWorker } from './messages.js';

/** File descriptor of the media pipe; the supervisor puts it there. */
const MEDIA_FD = 4;
const STATS_INTERVAL_MS = 1000;

let engine: EngineHandle | undefined;
let ending = false;
/** Wished for while the engine was being loaded. */
let earlyCodec: Codec | undefined;

const socket = new Socket({ fd: MEDIA_FD, readable: false, writable: true });
socket.on('error', () => process.exit(0));
const pipe = new MediaPipe(socket, () => engine?.requestKeyFrame());

/** Ends the process once the pipe has taken what was said; the supervisor kills it if that takes too long. */
function end(code: number): void {
  if (ending) return;
  ending = true;
  const closed = engine?.close().catch(() => undefined);
  void Promise.resolve(closed).then(() => socket.end(() => process.exit(code)));
}

function fail(code: string, message: string, remedy: string): void {
  pipe.event({ type: 'error', code, message, remedy, fatal: true });
  end(1);
}

async function start(command: Extract<ToWorker, { type: 'start' }>): Promise<void> {
  if (engine) throw new Error('a second start');
  engine = await EngineHandle.open(command.source, command.engine, {
    unit: (message) => pipe.unit(message),
    event: (event) => pipe.event(event),
    failed: fail,
  });
  if (earlyCodec !== undefined) engine.setCodec(earlyCodec);
  pipe.event({ type: 'ready' });
  setInterval(() => {
    if (engine) pipe.event({ type: 'stats', stats: engine.stats(pipe.dropped) });
  }, STATS_INTERVAL_MS).unref();
}

async function handle(command: ToWorker): Promise<void> {
  switch (command.type) {
    case 'start':
      return start(command);
    case 'probe':
      pipe.event({
        type: 'engines',
        engines: await probeEngines(
          (engines) => pipe.event({ type: 'engines', engines, complete: false }),
          command.from,
        ),
        importers: await findImporters(),
        complete: true,
      });
      return;
    case 'codec':
      if (engine) engine.setCodec(command.codec);
      else earlyCodec = command.codec;
      return;
    case 'key-frame':
      engine?.requestKeyFrame();
      return;
    case 'active':
      engine?.setActive(command.active);
      return;
    case 'resource':
    case 'resource-gone':
    case 'frame':
      engine?.feed(command);
      return;
    case 'bitrate':
      engine?.setBitrate(command.kbps);
      return;
    case 'ping':
      pipe.event({ type: 'pong', token: command.token });
      return;
    case 'stop':
      end(0);
  }
}

process.on('message', (raw) => {
  const parsed = ToWorker.safeParse(raw);
  if (!parsed.success) {
    fail('BAD_COMMAND', 'the bridge sent a command that is not one', 'report this as a bug');
    return;
  }
  handle(parsed.data).catch((error: unknown) => {
    const { code, remedy } = error as { code?: unknown; remedy?: unknown };
    fail(
      typeof code === 'string' ? code : 'ENGINE_FAILED',
      reasonOf(error),
      typeof remedy === 'string' ? remedy : 'run "scanbridge probe" to see what works here',
    );
  });
});
// The bridge is gone, whatever happened to it: nobody is left to encode for.
process.on('disconnect', () => end(0));
// A terminal's Ctrl-C reaches the whole process group; the bridge decides when its workers end.
process.on('SIGINT', () => undefined);
process.on('SIGTERM', () => end(0));
