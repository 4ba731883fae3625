// Runs in Chromium: a viewer that draws nothing, but takes the time when each picture leaves the decoder and reads
// what the painter painted into it. The real page is host-bridge/viewer; this one measures.
import { decodeVideo, VideoFlag } from '@scanbridge/protocol/viewer/video';
import { headerHeight, readStamp, type Stamp } from '../harness/pattern.js';
import { MARK_HEIGHT, type Mark, readMarkBy } from '../vm/pattern.js';

/** One decoded picture. */
export interface Decoded {
  /** What was painted; absent when the picture does not carry a whole stamp. */
  readonly stamp?: Stamp;
  /** What a painter in a guest painted; absent when the picture does not carry a whole mark. */
  readonly mark?: Mark;
  /** When it left the decoder, wall clock [us]. */
  readonly decodedUs: number;
  /** Sequence of the access unit. */
  readonly sequence: number;
  readonly keepalive: boolean;
}

/** What a watched session gave so far. */
export interface Watched {
  readonly decoded: Decoded[];
  readonly configs: { codec: string; width: number; height: number }[];
  readonly states: string[];
  closed?: { code: number; reason: string };
  errors: string[];
}

const wallClockUs = () => Math.round((performance.timeOrigin + performance.now()) * 1000);

/** What is written into a picture, by whichever painter. */
interface Written {
  readonly stamp?: Stamp;
  readonly mark?: Mark;
}

function readBoth(width: number, rows: number, luma: (x: number, y: number) => number): Written {
  // The mark first: it begins with a magic number, while one picture in 256 passes the check of a stamp by chance.
  const mark = rows >= MARK_HEIGHT ? readMarkBy(width, luma) : undefined;
  const stamp = mark || rows < headerHeight(width) ? undefined : readStamp(width, luma);
  return { ...(stamp && { stamp }), ...(mark && { mark }) };
}

/** Reads the upper rows of a decoded picture, whatever its format is. */
async function writtenIn(frame: VideoFrame, width: number): Promise<Written> {
  const rows = Math.min(Math.max(headerHeight(width), MARK_HEIGHT), frame.codedHeight);
  if (frame.format === 'I420' || frame.format === 'NV12') {
    const rect = { x: 0, y: 0, width: frame.codedWidth, height: rows };
    const data = new Uint8Array(frame.allocationSize({ rect }));
    const [luma] = await frame.copyTo(data, { rect });
    if (!luma) return {};
    return readBoth(width, rows, (x, y) => data[luma.offset + y * luma.stride + x] ?? 0);
  }
  const canvas = new OffscreenCanvas(width, rows);
  const context = canvas.getContext('2d', { willReadFrequently: true });
  if (!context) return {};
  context.drawImage(frame, 0, 0);
  const { data } = context.getImageData(0, 0, width, rows);
  return readBoth(width, rows, (x, y) => data[(y * width + x) * 4 + 1] ?? 0);
}

/** The last picture that left the decoder, kept for `pixels`. */
let last: { frame: VideoFrame; width: number; height: number } | undefined;

interface Handlers {
  readonly onPicture: (
    frame: VideoFrame,
    decodedUs: number,
    sequence: number,
    flags: number,
  ) => void;
  readonly watched: Watched;
}

function open(url: string, { onPicture, watched }: Handlers): WebSocket {
  const socket = new WebSocket(url, 'scanbridge.v1');
  socket.binaryType = 'arraybuffer';
  const units = new Map<number, { sequence: number; flags: number; at: number }>();
  let count = 0;
  const decoder = new VideoDecoder({
    output: (frame) => {
      const decodedUs = wallClockUs();
      const unit = units.get(frame.timestamp);
      units.delete(frame.timestamp);
      if (unit) {
        if (++count % 2 === 0) {
          const decode = performance.now() - unit.at;
          const queued = decoder.decodeQueueSize;
          socket.send(
            JSON.stringify({ type: 'ack', sequence: unit.sequence, decode, render: 0, queued }),
          );
        }
        onPicture(frame, decodedUs, unit.sequence, unit.flags);
      } else frame.close();
    },
    error: (error) => watched.errors.push(String(error)),
  });
  let started = false;
  socket.onopen = () =>
    socket.send(JSON.stringify({ type: 'hello', version: 1, codecs: ['avc1'] }));
  socket.onclose = ({ code, reason }) => {
    watched.closed = { code, reason };
    if (decoder.state !== 'closed') decoder.close();
  };
  socket.onmessage = ({ data }) => {
    if (typeof data === 'string') {
      const message = JSON.parse(data);
      if (message.type === 'ping')
        socket.send(JSON.stringify({ type: 'pong', token: message.token }));
      if (message.type === 'state') watched.states.push(message.state);
      if (message.type === 'config') {
        watched.configs.push(message);
        const { codec, colorSpace } = message;
        decoder.configure({ codec, optimizeForLatency: true, colorSpace });
        started = false;
      }
      return;
    }
    const at = performance.now();
    const { header, accessUnit } = decodeVideo(new Uint8Array(data));
    const key = (header.flags & VideoFlag.KEY) !== 0;
    if (!started && !key) return;
    started = true;
    // Timestamps only carry the unit to its picture; they have to differ, as PTS of re-encoded pictures might not.
    const timestamp = header.sequence;
    units.set(timestamp, { sequence: header.sequence, flags: header.flags, at });
    decoder.decode(
      new EncodedVideoChunk({ type: key ? 'key' : 'delta', timestamp, data: accessUnit }),
    );
  };
  return socket;
}

const sockets = new Set<WebSocket>();
const watches = new Map<string, Watched>();

/** Watches a session until `stop`; `keep` holds on to the newest picture for `pixels`. */
function watch(name: string, url: string, keep: boolean): void {
  const watched: Watched = { decoded: [], configs: [], states: [], errors: [] };
  watches.set(name, watched);
  const onPicture = async (
    frame: VideoFrame,
    decodedUs: number,
    sequence: number,
    flags: number,
  ) => {
    const config = watched.configs.at(-1);
    const width = config?.width ?? frame.codedWidth;
    const written = await writtenIn(frame, width);
    const keepalive = (flags & VideoFlag.KEEPALIVE) !== 0;
    watched.decoded.push({ ...written, decodedUs, sequence, keepalive });
    if (!keep) {
      frame.close();
      return;
    }
    last?.frame.close();
    last = { frame, width, height: config?.height ?? frame.codedHeight };
  };
  sockets.add(open(url, { onPicture, watched }));
}

function collect(name: string): Watched | undefined {
  return watches.get(name);
}

function stop(): void {
  for (const socket of sockets) socket.close();
  sockets.clear();
  watches.clear();
  last?.frame.close();
  last = undefined;
}

/** RGBA of the newest kept picture, as base64, with what is written in it. */
async function pixels(): Promise<
  ({ width: number; height: number; rgba: string } & Written) | undefined
> {
  if (!last) return undefined;
  const { frame, width, height } = last;
  const written = await writtenIn(frame, width);
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext('2d', { willReadFrequently: true });
  if (!context) return undefined;
  context.drawImage(frame, 0, 0);
  const { data } = context.getImageData(0, 0, width, height);
  let binary = '';
  for (let i = 0; i < data.length; i += 32768) {
    binary += String.fromCharCode(...data.subarray(i, i + 32768));
  }
  return { width, height, rgba: btoa(binary), ...written };
}

/** Connects anew and tells how long it took until the first picture left the decoder [ms]. */
function join(url: string, limitMs: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const began = performance.now();
    const watched: Watched = { decoded: [], configs: [], states: [], errors: [] };
    const timer = setTimeout(() => {
      socket.close();
      reject(new Error(`no picture within ${limitMs} ms: ${JSON.stringify(watched)}`));
    }, limitMs);
    const socket = open(url, {
      watched,
      onPicture: (frame) => {
        frame.close();
        clearTimeout(timer);
        socket.onclose = null;
        socket.close();
        resolve(performance.now() - began);
      },
    });
  });
}

const api = { watch, collect, stop, pixels, join };
export type ProbeApi = typeof api;
declare global {
  interface Window {
    probe: ProbeApi;
  }
}
window.probe = api;
