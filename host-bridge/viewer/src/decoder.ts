// Access units in, pictures out, and never a dead picture: whatever goes wrong with the browser's decoder, it is made
// anew and a key frame asked for.
// Queue: units inside the decoder, at most MAX_PENDING of them and none older than MAX_AGE. That is a safety net: the
// bridge sees `queued` in the acknowledgements and moves a slow viewer to a key frame long before. When the net
// catches, everything inside is thrown away and decoding goes on at the next key frame.
import { decodeVideo, VideoFlag, type VideoHeader } from '@scanbridge/protocol/viewer/video';
import type { Message } from './messages.js';
import { decoderFails, NO_KEY_FRAME, type Reason, undecodable } from './reasons.js';

/** Units inside the decoder [count] and their age [ms]; a hardware decoder may need half a second to start. */
const MAX_PENDING = 90;
const MAX_AGE = 1_200;
/** Time to bring out what is done already before a decoder counts as hanging [ms]. */
const GRACE = 150;
/** Waits between requests for a key frame that does not come [ms]. */
const REQUEST_FIRST = 250;
const REQUEST_LONGEST = 4_000;
/** Wait between requests above which the viewer is told why the picture stands still [ms]. */
const REQUEST_TOLD = 800;
/** Configurations that are remembered; the bridge announces one before its first unit. */
const MAX_CONFIGS = 8;
/** Failures without a picture in between, after which the viewer is told. */
const FAILURES_TOLD = 3;

/** An access unit on its way through the decoder. */
export interface Unit {
  readonly header: VideoHeader;
  /** Length of the access unit [bytes]. */
  readonly bytes: number;
  /** When it was received, on performance.now's clock [ms]. */
  readonly receivedAt: number;
}

export interface DecoderHandler {
  /** A picture. The handler closes the frame. @param at when it left the decoder [ms] */
  picture(frame: VideoFrame, unit: Unit, config: Message<'config'>, at: number): void;
  /** A unit that will not become a picture. */
  discarded(sequence: number): void;
  requestKeyFrame(reason: string): void;
  /** The decoder cannot work, or (undefined) can again. */
  trouble(reason: Reason | undefined): void;
}

export class Decoder {
  #decoder: VideoDecoder | undefined;
  #configs = new Map<number, Message<'config'>>();
  #config: Message<'config'> | undefined;
  /** By the time stamp that the decoder knows, in order. */
  #pending = new Map<number, Unit>();
  #count = 0;
  #last: number | undefined;
  #needsKey = true;
  #failures = 0;
  #request: ReturnType<typeof setTimeout> | undefined;
  #told: Reason | undefined;
  #watchdog: ReturnType<typeof setTimeout> | undefined;

  /** Units received. */
  received = 0;
  /** Pictures that left the decoder. */
  decoded = 0;
  /** Units thrown away here: before a key frame, or with a decoder that was restarted. */
  discards = 0;
  /** Times that the bridge moved this viewer to a key frame. */
  skips = 0;
  /** Gaps in the sequence that did not end with a key frame: a bug of the bridge. */
  gaps = 0;
  /** Times that the decoder was made anew after a failure or a backlog. */
  restarts = 0;
  /** Sequence of the newest unit that left the decoder. */
  lastSequence: number | undefined;

  constructor(readonly handler: DecoderHandler) {}

  /** Units inside the decoder. */
  get queued(): number {
    return this.#pending.size;
  }

  /** The configuration of the newest picture. */
  get config(): Message<'config'> | undefined {
    return this.#config;
  }

  /** Learns what the units that name this configuration are. */
  announce(config: Message<'config'>): void {
    this.#configs.delete(config.id);
    this.#configs.set(config.id, config);
    for (const id of this.#configs.keys()) {
      if (this.#configs.size <= MAX_CONFIGS) break;
      this.#configs.delete(id);
    }
  }

  /** Forgets the connection's numbering: the next connection starts with its own configurations and a key frame. */
  disconnected(): void {
    this.#discardPending();
    this.#configs.clear();
    this.#last = undefined;
    this.#needsKey = true;
    this.#trouble(undefined);
    this.#stopRequests();
  }

  /** The stream is paused and will go on with a key frame, and that gap is no fault. */
  paused(): void {
    this.#last = undefined;
    this.#needsKey = true;
    this.#stopRequests();
  }

  /**
   * Takes a binary message.
   * @param at when it was received [ms]
   * @throws {VideoMessageError} when the message is not of the protocol
   */
  push(message: Uint8Array, at: number): void {
    const { header, accessUnit } = decodeVideo(message);
    const key = (header.flags & VideoFlag.KEY) !== 0;
    this.received++;
    if (this.#last !== undefined && header.sequence !== (this.#last + 1) >>> 0) {
      if (key) {
        this.skips++;
      } else {
        this.gaps++;
        this.#needKey(`gap in the sequence: ${this.#last}, ${header.sequence}`);
      }
    }
    this.#last = header.sequence;

    if (this.#pending.size >= MAX_PENDING) {
      this.#restart(`the decoder is ${this.#pending.size} units behind`);
    }
    const config = this.#configs.get(header.config);
    if (!config) this.#needKey(`no configuration ${header.config}`);
    if (!config || (this.#needsKey && !key)) {
      this.#discard(header.sequence);
      return;
    }
    if (key && !this.#prepare(config)) {
      this.#discard(header.sequence);
      return;
    }
    // Time stamps only have to be distinct and to grow: the source's clock may do neither when it restarts.
    const timestamp = ++this.#count;
    this.#pending.set(timestamp, { header, bytes: accessUnit.length, receivedAt: at });
    this.#watch(MAX_AGE);
    try {
      this.#decoder?.decode(
        new EncodedVideoChunk({ type: key ? 'key' : 'delta', timestamp, data: accessUnit }),
      );
    } catch (error) {
      this.#failed(error as DOMException);
      return;
    }
    if (key) {
      this.#needsKey = false;
      this.#stopRequests();
    }
  }

  close(): void {
    clearTimeout(this.#watchdog);
    this.#stopRequests();
    this.#closeDecoder();
    this.#pending.clear();
  }

  /** Makes the decoder fit for a key frame of this configuration. */
  #prepare(config: Message<'config'>): boolean {
    if (this.#decoder?.state === 'configured' && this.#config === config) return true;
    try {
      this.#decoder ??= this.#create();
      // No description: the stream is Annex B. No coded size: the parameter sets say it, and they are what counts.
      this.#decoder.configure({
        codec: config.codec,
        optimizeForLatency: true,
        colorSpace: config.colorSpace,
      });
      this.#config = config;
      return true;
    } catch (error) {
      this.#config = config;
      this.#failed(error as DOMException);
      return false;
    }
  }

  #create(): VideoDecoder {
    const decoder = new VideoDecoder({
      output: (frame) => {
        if (decoder === this.#decoder) this.#output(frame);
        else frame.close();
      },
      error: (error) => {
        if (decoder === this.#decoder) this.#failed(error);
      },
    });
    return decoder;
  }

  #output(frame: VideoFrame): void {
    const at = performance.now();
    const unit = this.#pending.get(frame.timestamp);
    // Without reordering, units before this one will not come out any more.
    for (const timestamp of this.#pending.keys()) {
      if (timestamp > frame.timestamp) break;
      this.#pending.delete(timestamp);
    }
    if (!unit || !this.#config) {
      frame.close();
      return;
    }
    this.#failures = 0;
    this.#trouble(undefined);
    this.decoded++;
    this.lastSequence = unit.header.sequence;
    this.handler.picture(frame, unit, this.#configs.get(unit.header.config) ?? this.#config, at);
  }

  #failed(error: DOMException): void {
    this.#failures++;
    if (error.name === 'NotSupportedError') {
      this.#trouble(undecodable(this.#config?.codec ?? 'an unknown codec'));
      this.#failures = Math.max(this.#failures, FAILURES_TOLD);
    } else if (this.#failures >= FAILURES_TOLD) {
      this.#trouble(decoderFails(error.message || error.name));
    }
    this.#restart(`decoder: ${error.name}: ${error.message}`.slice(0, 500));
  }

  #restart(reason: string): void {
    this.restarts++;
    this.#closeDecoder();
    this.#discardPending();
    this.#needKey(reason);
  }

  #closeDecoder(): void {
    if (this.#decoder && this.#decoder.state !== 'closed') this.#decoder.close();
    this.#decoder = undefined;
  }

  /** A decoder that keeps a unit for too long hangs, whether more units come or not. */
  #watch(after: number, suspect?: Unit): void {
    this.#watchdog ??= setTimeout(() => {
      this.#watchdog = undefined;
      const oldest = this.#pending.values().next().value;
      if (!oldest) return;
      const left = MAX_AGE - (performance.now() - oldest.receivedAt);
      if (left > 0) this.#watch(left);
      // The page itself may have stood still: let pictures that wait in the event loop come out before judging.
      else if (oldest !== suspect) this.#watch(GRACE, oldest);
      else
        this.#failed(new DOMException(`${this.#pending.size} units in, none out`, 'TimeoutError'));
    }, after);
  }

  #discard(sequence: number): void {
    this.discards++;
    this.handler.discarded(sequence);
  }

  #discardPending(): void {
    const units = [...this.#pending.values()];
    this.#pending.clear();
    for (const unit of units) this.#discard(unit.header.sequence);
  }

  #needKey(reason: string): void {
    this.#needsKey = true;
    if (this.#request !== undefined) return;
    const ask = (wait: number) => {
      this.handler.requestKeyFrame(reason);
      if (wait > REQUEST_TOLD && !this.#told) this.#trouble(NO_KEY_FRAME);
      this.#request = setTimeout(ask, wait, Math.min(REQUEST_LONGEST, wait * 2));
    };
    // A decoder that fails again and again must not make the encoder send nothing but key frames.
    if (this.#failures < FAILURES_TOLD) {
      ask(REQUEST_FIRST);
    } else {
      const wait = Math.min(REQUEST_LONGEST, REQUEST_FIRST * 2 ** (this.#failures - FAILURES_TOLD));
      this.#request = setTimeout(ask, wait, wait);
    }
  }

  #trouble(reason: Reason | undefined): void {
    if (reason === this.#told) return;
    this.#told = reason;
    this.handler.trouble(reason);
  }

  #stopRequests(): void {
    clearTimeout(this.#request);
    this.#request = undefined;
  }
}
