// A session: one desktop stream. It joins a source, an engine worker and the viewers.
import { EventEmitter } from 'node:events';
import {
  CloseCode,
  type InputEvent,
  type SessionState,
  type ToViewer,
} from '@scanbridge/protocol/viewer';
import type { Logger } from 'pino';
import { type BitrateBounds, sessionBitrate, worthApplying } from './bitrate.js';
import { chooseCodec, mayJoin } from './codec-choice.js';
import { WorkerError } from './errors.js';
import { Fanout } from './fanout.js';
import { RateMeter } from './rate-meter.js';
import { SessionCursor } from './session-cursor.js';
import type { SessionReport } from './session-report.js';
import type { LeaseReport } from './sources/scanout-leases.js';
import type { CursorTexts, ViewerConnection, ViewerHost } from './viewers/connection.js';
import type {
  Codec,
  EngineSpec,
  FeedCommand,
  FeedEvent,
  FromWorker,
  SourceSpec,
  TriedPath,
  WorkerStats,
} from './worker/messages.js';
import { WorkerSupervisor } from './worker/supervisor.js';

/**
 * With no viewer for this long, an encoder that is busy sleeps; a viewer wakes it [ms]. One that is not (a still desktop,
 * up to STILL_FPS pictures a second) costs next to nothing and stays awake, so that a join is a matter of milliseconds.
 */
export const IDLE_AFTER_MS = 10_000;
const STILL_FPS = 2;
/** Queues and bitrate are looked at this often [ms]. */
const TICK_MS = 100;
/** The bitrate is changed at most this often [ticks]. */
const BITRATE_TICKS = 3;
/** A live worker that owes a key frame for this long is restarted [ms]. */
const KEY_FRAME_LIMIT_MS = 4000;
/** A resize is passed on at most this often; of those between, the last counts [ms]. */
const RESIZE_PAUSE_MS = 100;

/** What the owner of a source can do for its session. */
export interface SourceControl {
  /** Makes the desktop this large. Absent: it cannot be resized. */
  resize?(width: number, height: number): void;
  /** Passes input on. Absent: it takes none. */
  input?(events: readonly InputEvent[]): void;
  /** Who holds the scanout that it shows. Absent, or undefined: nobody says so. */
  lease?(): LeaseReport | undefined;
  /** Ends the source because somebody asked for it. Absent: the session is just removed. */
  end?(): void;
  /** Tells the worker of each picture. Absent: the worker finds them itself. */
  readonly feed?: PictureFeed;
}

/** Pictures that reach a worker through the bridge: where they are, not what they show. */
export interface PictureFeed {
  /** @param send to the worker, as long as there is one */
  connect(send: (command: FeedCommand) => void): void;
  onWorker(event: FeedEvent): void;
  /** There is no worker. */
  lost(): void;
}

/** How a session begins. */
export interface SessionOptions {
  readonly id: string;
  /** For people. */
  readonly title: string;
  readonly source: SourceSpec;
  readonly control: SourceControl;
  readonly engine: EngineSpec;
  readonly bitrate: BitrateBounds;
  readonly log: Logger;
  /** IDLE_AFTER_MS where absent. */
  readonly idleAfterMs?: number;
  /** false: it waits until `resume` is called. */
  readonly started?: boolean;
}

/** Code of the state in which the source says that it has no picture. */
const NO_PICTURE = 'NO_PICTURE';

type Config = Extract<ToViewer, { type: 'config' }>;
type State = Extract<ToViewer, { type: 'state' }>;

const NO_STATS: WorkerStats = {
  encoded: 0,
  dropped: 0,
  unchanged: 0,
  keepalives: 0,
  lost: 0,
  encodeUs: { p50: 0, p95: 0, p99: 0 },
};

/** Owns a worker supervisor and a fan-out; knows its viewers. Emits 'state' and 'ended'. */
export class Session
  extends EventEmitter<{ state: [SessionState]; ended: [] }>
  implements ViewerHost
{
  readonly id: string;
  readonly title: string;
  readonly bitrateBounds: BitrateBounds;
  readonly #log: Logger;
  #source: SourceSpec;
  readonly #control: SourceControl;
  readonly #idleAfterMs: number;
  readonly #supervisor: WorkerSupervisor;
  readonly #fanout = new Fanout<ViewerConnection>(() =>
    this.#supervisor.send({ type: 'key-frame' }),
  );
  readonly #meter = new RateMeter();
  #state: State = { type: 'state', state: 'starting' };
  #config: Config | undefined;
  readonly #cursor = new SessionCursor();
  #chosen: { engine: string; path: string } = { engine: '', path: '' };
  /** Better paths than the chosen one, and why not. */
  #tried: readonly TriedPath[] = [];
  readonly #codec: { readonly wanted: Codec; present: Codec; readonly broken: Set<Codec> };
  #target: number;
  #workerStats = NO_STATS;
  /** Counters of the workers that are gone. */
  #past = { encoded: 0, dropped: 0 };
  #active = true;
  #held = false;
  #closed = false;
  #ticks = 0;
  readonly #tickTimer: NodeJS.Timeout;
  #idleTimer: NodeJS.Timeout | undefined;
  #resizeTimer: NodeJS.Timeout | undefined;
  #resizeWish: { width: number; height: number } | undefined;
  stateText = JSON.stringify(this.#state);
  configText: string | undefined;

  constructor(options: SessionOptions) {
    super();
    this.id = options.id;
    this.title = options.title;
    this.#source = options.source;
    this.#control = options.control;
    this.#idleAfterMs = options.idleAfterMs ?? IDLE_AFTER_MS;
    this.bitrateBounds = options.bitrate;
    this.#log = options.log.child({ session: options.id });
    this.#target = options.engine.bitrateKbps;
    const wanted = options.engine.codec ?? 'h264';
    this.#codec = { wanted, present: wanted, broken: new Set() };
    this.#supervisor = new WorkerSupervisor(
      options.source,
      options.engine,
      {
        unit: (message, timeUs) => this.#onUnit(message, timeUs),
        event: (event) => this.#onWorker(event),
        up: () => this.#onUp(),
        down: (error, retryMs) => this.#onDown(error, retryMs),
      },
      this.#log,
    );
    this.#control.feed?.connect((command) => this.#supervisor.send(command));
    this.#tickTimer = setInterval(() => this.#tick(), TICK_MS);
    this.#startIdling();
    if (options.started === false) this.#held = true;
    else this.#supervisor.start();
  }

  get resizable(): boolean {
    return this.#control.resize !== undefined;
  }

  get takesInput(): boolean {
    return this.#control.input !== undefined;
  }

  get bytesPerMs(): number {
    return this.#target / 8;
  }

  get cursor(): CursorTexts | undefined {
    return this.#cursor.texts;
  }

  get state(): SessionState {
    return this.#state.state;
  }

  /** Its source's owner has lost the source. */
  get held(): boolean {
    return this.#held;
  }

  get viewers(): ReadonlySet<ViewerConnection> {
    return this.#fanout.recipients;
  }

  decodable(codecs: readonly string[]): boolean {
    return mayJoin(this.#codec.wanted, this.#decodables(), codecs, this.#codec.broken);
  }

  join(viewer: ViewerConnection): void {
    if (this.#closed) {
      viewer.close(CloseCode.SESSION_ENDED, 'SESSION_ENDED', this.#state.message ?? 'it is over');
      return;
    }
    this.#fanout.recipients.add(viewer);
    this.#followCodecs();
    this.watchingChanged();
    this.#fanout.needKeyFrame();
  }

  leave(viewer: ViewerConnection): void {
    this.#fanout.recipients.delete(viewer);
    this.#followCodecs();
    this.watchingChanged();
  }

  needKeyFrame(): void {
    this.#fanout.needKeyFrame();
  }

  watchingChanged(): void {
    const watched = [...this.viewers].some((viewer) => viewer.watching);
    if (watched) {
      clearTimeout(this.#idleTimer);
      this.#idleTimer = undefined;
      this.#setActive(true);
    } else if (!this.#closed) {
      this.#startIdling();
    }
  }

  resize(width: number, height: number): void {
    if (!this.#control.resize || this.#closed) return;
    this.#resizeWish = { width, height };
    this.#resizeTimer ??= setTimeout(() => {
      this.#resizeTimer = undefined;
      const wish = this.#resizeWish;
      if (wish) this.#control.resize?.(wish.width, wish.height);
    }, RESIZE_PAUSE_MS);
  }

  input(events: readonly InputEvent[]): void {
    this.#control.input?.(events);
  }

  /** The source's owner has lost it for now: the worker ends, viewers wait. */
  async hold(code: string, message: string): Promise<void> {
    this.#held = true;
    this.#setState({ type: 'state', state: 'waiting', code, message });
    this.#control.feed?.lost();
    await this.#supervisor.stop();
  }

  /** The source has no picture for now, and its owner says why. */
  pictureAway(message: string): void {
    if (!this.#held) this.#setState({ type: 'state', state: 'waiting', code: NO_PICTURE, message });
  }

  /** The source has a picture, which is on its way. */
  pictureCame(): void {
    if (this.#state.code === NO_PICTURE) this.#setState({ type: 'state', state: 'starting' });
  }

  /** The source is there (again). */
  resume(source: SourceSpec): void {
    if (this.#closed) return;
    this.#held = false;
    this.#source = source;
    this.#supervisor.start(source);
    this.#setState({ type: 'state', state: 'starting' });
  }

  /** Somebody asked for the session's end: its source decides how. */
  requestEnd(): boolean {
    if (!this.#control.end) return false;
    this.#control.end();
    return true;
  }

  /** Ends it: viewers are told why, the worker's process is gone when this resolves. */
  async close(
    closeCode: CloseCode = CloseCode.SESSION_ENDED,
    code = 'SESSION_ENDED',
    message = 'this desktop was closed',
  ): Promise<void> {
    if (!this.#closed) {
      this.#closed = true;
      clearInterval(this.#tickTimer);
      clearTimeout(this.#idleTimer);
      clearTimeout(this.#resizeTimer);
      this.#setState({ type: 'state', state: 'ended', code, message });
      for (const viewer of [...this.viewers]) viewer.close(closeCode, code, message);
      this.#fanout.close();
      this.emit('ended');
    }
    await this.#supervisor.stop();
  }

  report(): SessionReport {
    const pid = this.#supervisor.pid;
    const lease = this.#control.lease?.();
    return {
      id: this.id,
      title: this.title,
      source: this.#source,
      ...(lease && { lease }),
      state: this.#state.state,
      ...(this.#state.code !== undefined && { code: this.#state.code }),
      ...(this.#state.message !== undefined && { message: this.#state.message }),
      resizable: this.resizable,
      input: this.takesInput,
      viewers: this.viewers.size,
      ...this.#chosen,
      ...(this.#tried.length > 0 && { tried: this.#tried }),
      ...(this.#config && {
        codec: this.#config.codec,
        width: this.#config.width,
        height: this.#config.height,
      }),
      fps: this.#meter.perSecond,
      bitrateKbps: this.#meter.kbps,
      targetKbps: this.#target,
      encoded: this.#past.encoded + this.#workerStats.encoded,
      dropped: this.#past.dropped + this.#workerStats.dropped,
      accessUnits: this.#fanout.units,
      keyFrames: this.#fanout.keyFrames,
      restarts: this.#supervisor.restarts,
      ...(pid !== undefined && { workerPid: pid }),
    };
  }

  #onUnit(message: Buffer, timeUs: number): void {
    this.#meter.count(message.length, performance.now());
    this.#fanout.push(message, timeUs);
    // A worker says 'live' itself; a unit proves it, whatever was said.
    if (this.#state.state === 'starting' || this.#state.state === 'restarting') {
      this.#setState({ type: 'state', state: 'live' });
    }
  }

  #onUp(): void {
    this.#fanout.restart();
    this.#supervisor.send({ type: 'active', active: this.#active });
    if (this.#active) this.#fanout.needKeyFrame();
  }

  #onWorker(event: FromWorker): void {
    switch (event.type) {
      case 'chosen':
        this.#chosen = { engine: event.engine, path: event.path };
        this.#tried = event.tried ?? [];
        return;
      case 'config':
        this.#config = { ...event, id: this.#fanout.configId(event.id) };
        this.configText = JSON.stringify(this.#config);
        this.#broadcast(this.configText);
        return;
      case 'state':
        if (!this.#held) this.#setState(event);
        return;
      case 'source':
      case 'released':
      case 'resource-refused':
        this.#control.feed?.onWorker(event);
        return;
      case 'cursor':
        this.#cursor.take(event);
        for (const viewer of this.viewers) viewer.cursor();
        return;
      case 'stats':
        this.#workerStats = event.stats;
        return;
      case 'error':
        if (!event.fatal) this.#log.warn({ code: event.code, remedy: event.remedy }, event.message);
        else if (this.#codec.present !== 'h264') {
          // No engine has this codec, or none that works: H.264 is better than no picture.
          this.#log.warn({ code: event.code, codec: this.#codec.present }, event.message);
          this.#codec.broken.add(this.#codec.present);
          this.#followCodecs();
        }
    }
  }

  #onDown(error: WorkerError, retryMs: number): void {
    this.#forgetWorker();
    const message = `${error.message}; next try in ${retryMs / 1000} s. ${error.remedy}`;
    this.#setState({ type: 'state', state: 'restarting', code: error.code, message });
  }

  #forgetWorker(): void {
    this.#control.feed?.lost();
    this.#past.encoded += this.#workerStats.encoded;
    this.#past.dropped += this.#workerStats.dropped;
    this.#workerStats = NO_STATS;
    this.#fanout.restart();
    this.#cursor.forget();
    for (const viewer of this.viewers) viewer.flow.restart();
  }

  #decodables(): (readonly string[])[] {
    return [...this.viewers].map(({ codecs }) => codecs);
  }

  /** One encode serves all: its codec is one that every viewer decodes. */
  #followCodecs(): void {
    const choice = this.#codec;
    const codec = chooseCodec(choice.wanted, this.#decodables(), choice.broken);
    // Nobody looks: what the last viewers decoded is as good a guess as any.
    if (codec === choice.present || (this.viewers.size === 0 && !choice.broken.has(choice.present)))
      return;
    choice.present = codec;
    this.#log.info({ codec }, 'the codec follows the viewers');
    this.#supervisor.send({ type: 'codec', codec });
  }

  /** Sleeps after a time, once the encoder is busy for nobody. */
  #startIdling(): void {
    this.#idleTimer ??= setTimeout(() => {
      this.#idleTimer = undefined;
      if (this.#meter.perSecond > STILL_FPS) this.#setActive(false);
      else this.#startIdling();
    }, this.#idleAfterMs);
  }

  #setActive(active: boolean): void {
    clearTimeout(this.#idleTimer);
    this.#idleTimer = undefined;
    if (active === this.#active) return;
    this.#active = active;
    this.#supervisor.send({ type: 'active', active });
    this.#log.debug({ active }, active ? 'the encoder wakes' : 'no viewers: the encoder sleeps');
  }

  #setState(state: State): void {
    const { code, message } = state;
    const text = JSON.stringify({
      type: 'state',
      state: state.state,
      ...(code !== undefined && { code }),
      ...(message !== undefined && { message: message.slice(0, 512) }),
    } satisfies ToViewer);
    if (text === this.stateText) return;
    this.#state = state;
    this.stateText = text;
    this.#broadcast(text);
    this.emit('state', state.state);
  }

  #broadcast(text: string): void {
    for (const viewer of this.viewers) viewer.text(text);
  }

  #tick(): void {
    const now = performance.now();
    this.#ticks++;
    for (const viewer of [...this.viewers]) viewer.tick(now);
    if (this.#ticks % BITRATE_TICKS === 0) this.#followViewers();
    if (this.#ticks % (1000 / TICK_MS) === 0) this.#sendStats(now);
    if (
      this.#state.state === 'live' &&
      this.#supervisor.ready &&
      this.#fanout.keyFrameOverdue(now) > KEY_FRAME_LIMIT_MS
    ) {
      this.#supervisor.restart(
        new WorkerError(
          'ENGINE_STALLED',
          `the encoder made no key frame for ${KEY_FRAME_LIMIT_MS / 1000} s`,
          'it is restarted; if it happens again, choose another engine with --engine',
        ),
      );
    }
  }

  #followViewers(): void {
    const rates = [...this.viewers].filter((v) => v.watching).map((v) => v.estimator.kbps);
    const target = sessionBitrate(rates, this.bitrateBounds);
    if (rates.length === 0 || !worthApplying(this.#target, target)) return;
    this.#target = target;
    this.#supervisor.send({ type: 'bitrate', kbps: target });
  }

  #sendStats(now: number): void {
    this.#meter.second(now);
    const shared = {
      type: 'stats' as const,
      ...this.#chosen,
      fps: this.#meter.perSecond,
      bitrate: this.#meter.kbps,
      target: this.#target,
      viewers: this.viewers.size,
      dropped: this.#past.dropped + this.#workerStats.dropped,
    };
    for (const viewer of this.viewers) viewer.stats(shared);
  }
}
