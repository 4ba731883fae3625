// The engine of this platform behind what a worker needs of it. The only file that knows the native package.
import type { Engine } from '@scanbridge/native-host-linux';
import { reasonOf, WorkerError } from '../errors.js';
import { cursorRgba } from './cursor.js';
import type {
  Codec,
  EngineReport,
  EngineSpec,
  FeedCommand,
  FromWorker,
  Importer,
  SourceSpec,
  TriedPath,
  WorkerStats,
} from './messages.js';

/** What an open engine says. */
export interface EngineEvents {
  /** A complete binary message of the viewer protocol. */
  unit(message: Buffer): void;
  event(event: FromWorker): void;
  /** The engine cannot go on; the process should not either. */
  failed(code: string, message: string, remedy: string): void;
}

/** Pauses before the first, second, ... attempt in a row to reach a source [ms]; the last one repeats. */
const RETRY_MS: readonly number[] = [50, 250, 500, 1000, 2000];
/** Offset of the config's id in a binary video message [bytes]. */
const CONFIG_OFFSET = 2;

type Native = typeof import('@scanbridge/native-host-linux');

/** @throws {WorkerError} ENGINE_NOT_BUILT */
async function loadNative(): Promise<Native> {
  try {
    if (process.platform !== 'darwin') return await import('@scanbridge/native-host-linux');
    // The same interface; the names of engines and codes are others.
    return (await import('@scanbridge/native-host-macos')) as unknown as Native;
  } catch (error) {
    throw new WorkerError(
      'ENGINE_NOT_BUILT',
      `the native part of the engines cannot be loaded: ${reasonOf(error)}`,
      'run "npm run build" once, then start the bridge again',
    );
  }
}

/**
 * The path in a line for people: what is taken, and why nothing better. Engines of which nothing at all is installed are
 * named together.
 */
export function pathText(chosen: { path: string; tried: readonly TriedPath[] }): string {
  const absent = /^GStreamer has no element /;
  const engines = [...new Set(chosen.tried.map(({ engine }) => engine))];
  const missing = engines.filter((name) =>
    chosen.tried.every(({ engine, reason }) => engine !== name || absent.test(reason)),
  );
  const told = chosen.tried
    .filter(({ engine }) => !missing.includes(engine))
    .map(({ engine, path, reason }) => `not ${engine} ${path}: ${reason.replace(/\.$/, '')}`);
  if (missing.length > 0)
    told.push(`not ${missing.join(', ')}: not installed, or not for this GPU`);
  return [chosen.path, ...told].join('; ').slice(0, 500);
}

/** What takes dma-bufs into a GPU here; a platform without them has no such function. */
export async function findImporters(): Promise<Importer[]> {
  const native: Partial<Pick<Native, 'importers'>> = await loadNative();
  return native.importers?.() ?? [];
}

/** Tries all engines of this platform, but for `from` paths that have been tried. */
export async function probeEngines(
  progress: (engines: EngineReport[]) => void,
  from: number,
): Promise<EngineReport[]> {
  const native = await loadNative();
  return await native.probe(progress, from);
}

/**
 * Encodes one source until it is closed or the engine fails. A source that goes away, or is not there yet, is waited for
 * here: that costs one connection attempt now and then, not a new process.
 */
export class EngineHandle {
  #engine: Engine | undefined;
  #closing = false;
  #active = true;
  #attempts = 0;
  #retry: NodeJS.Timeout | undefined;
  /** Engines number their configs from 1; those of this worker go on. */
  #configOffset = 0;
  #lastConfig = 0;
  #past = { encoded: 0, dropped: 0, unchanged: 0, keepalives: 0 };

  private constructor(
    private readonly native: Native,
    private readonly source: SourceSpec,
    private spec: EngineSpec,
    private readonly events: EngineEvents,
  ) {
    this.#open();
  }

  /** @throws {WorkerError} ENGINE_NOT_BUILT, {EngineError} BAD_OPTION */
  static async open(source: SourceSpec, spec: EngineSpec, events: EngineEvents) {
    return new EngineHandle(await loadNative(), source, spec, events);
  }

  requestKeyFrame(): void {
    this.#engine?.requestKeyFrame();
  }

  setBitrate(kbps: number): void {
    this.spec = { ...this.spec, bitrateKbps: kbps };
    this.#engine?.setBitrate(kbps);
  }

  /** For a `resource` source. Without an engine there is nothing to tell: the next one is told all anew. */
  feed(command: FeedCommand): void {
    switch (command.type) {
      case 'resource': {
        const { type: _, offset, modifier, ...layout } = command;
        const wide = { offset: BigInt(offset), modifier: BigInt(`0x${modifier}`) };
        this.#engine?.addResource({ ...layout, ...wide });
        return;
      }
      case 'resource-gone':
        this.#engine?.removeResource(command.resource);
        return;
      case 'frame': {
        const { token, resource, pts, damage } = command;
        const ns = BigInt(pts) * 1000n;
        this.#engine?.showFrame({ token, resource, pts: ns, ...(damage && { damage }) });
      }
    }
  }

  /** Starts the stream anew with another codec. */
  setCodec(codec: Codec): void {
    this.spec = { ...this.spec, codec };
    if (!this.#engine) return;
    void this.#shut().then(() => {
      if (this.#active && !this.#closing && !this.#engine) this.#open();
    });
  }

  /** Inactive: nothing is captured or encoded; the libraries stay loaded, so that waking takes milliseconds. */
  setActive(active: boolean): void {
    if (active === this.#active || this.#closing) return;
    this.#active = active;
    if (active) this.#open();
    else void this.#shut();
  }

  /** @param lost access units that the pipe dropped */
  stats(lost: number): WorkerStats {
    const now = this.#engine?.stats();
    return {
      encoded: this.#past.encoded + (now?.encoded ?? 0),
      dropped: this.#past.dropped + (now?.droppedBeforeEncode ?? 0),
      unchanged: this.#past.unchanged + (now?.skippedUnchanged ?? 0),
      keepalives: this.#past.keepalives + (now?.keepalives ?? 0),
      lost,
      encodeUs: now?.latency ?? { p50: 0, p95: 0, p99: 0 },
    };
  }

  async close(): Promise<void> {
    this.#closing = true;
    await this.#shut();
  }

  #open(): void {
    const engine = new this.native.Engine({
      source: this.source,
      ...this.spec,
      cursor: this.source.kind !== 'test-pattern',
    });
    if (this.source.kind === 'resource') this.#watchResources(engine);
    this.#engine = engine;
    this.#configOffset = this.#lastConfig;
    const { events } = this;
    engine.on('video', (message) => {
      this.#attempts = 0;
      message.writeUInt16LE(
        (message.readUInt16LE(CONFIG_OFFSET) + this.#configOffset) & 0xffff,
        CONFIG_OFFSET,
      );
      events.unit(message);
    });
    engine.on('config', (config) => {
      this.#lastConfig = (this.#configOffset + config.id) & 0xffff;
      events.event({ type: 'config', ...config, id: this.#lastConfig });
    });
    engine.on('state', ({ state }) => {
      // While a source is waited for, why it is not there says more than that an attempt has begun.
      if (state !== 'starting' || this.#attempts === 0) events.event({ type: 'state', state });
    });
    engine.on('trying', (path) => events.event({ type: 'trying', ...path }));
    engine.on('chosen', (chosen) => {
      const path = pathText(chosen);
      const { engine: name, codec, hardware } = chosen;
      const tried = chosen.tried.map((each) => ({ ...each, reason: each.reason.slice(0, 1000) }));
      events.event({ type: 'chosen', engine: name, path, codec, hardware, tried });
    });
    engine.on('cursor', ({ visible, x, y, shape }) => {
      if (!shape) {
        events.event({ type: 'cursor', visible, x, y });
        return;
      }
      const { pixels, ...rest } = shape;
      const rgba = cursorRgba(pixels);
      events.event({ type: 'cursor', visible, x, y, shape: { ...rest, rgba } });
    });
    engine.on('end', (error) => {
      if (this.#engine !== engine) return;
      this.#keep(engine);
      void engine.close();
      if (error && !error.code.startsWith('SURFACE_')) {
        events.failed(error.code, error.message, error.remedy);
      } else {
        this.#waitForSource(
          error?.code ?? 'SOURCE_ENDED',
          error ? `${error.message} ${error.remedy}` : 'The source has ended.',
        );
      }
    });
  }

  #watchResources(engine: Engine): void {
    const { events } = this;
    engine.on('released', (token) => events.event({ type: 'released', token }));
    engine.on('refused', (resource, { code, message }) =>
      events.event({ type: 'resource-refused', resource, code, message }),
    );
    events.event({ type: 'source', open: true });
  }

  #waitForSource(code: string, reason: string): void {
    const wait = RETRY_MS[Math.min(this.#attempts, RETRY_MS.length - 1)];
    this.#attempts++;
    const message = `${reason} Waiting for it to come back.`;
    this.events.event({ type: 'state', state: 'waiting', code, message });
    this.#retry = setTimeout(() => this.#open(), wait);
  }

  /** Takes over the counters of an engine that ends. */
  #keep(engine: Engine): void {
    this.#engine = undefined;
    if (this.source.kind === 'resource') this.events.event({ type: 'source', open: false });
    const { encoded, droppedBeforeEncode, skippedUnchanged, keepalives } = engine.stats();
    this.#past.encoded += encoded;
    this.#past.dropped += droppedBeforeEncode;
    this.#past.unchanged += skippedUnchanged;
    this.#past.keepalives += keepalives;
  }

  async #shut(): Promise<void> {
    clearTimeout(this.#retry);
    const engine = this.#engine;
    if (!engine) return;
    this.#keep(engine);
    await engine.close();
  }
}
