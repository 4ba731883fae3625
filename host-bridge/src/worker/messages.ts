// What the bridge and an engine worker say to each other. Commands go over Node's IPC channel; everything the worker
// says goes over the media pipe (framing.ts), so that a config and the access units it describes stay in order.
import { AgentRect } from '@scanbridge/protocol/agent';
import { ColorSpace, SessionState } from '@scanbridge/protocol/viewer';
import { z } from 'zod';

const dimension = z.number().int().min(1).max(16_384);
const socket = z.string().min(1).max(107);

/** Where a worker takes pictures from. */
export const SourceSpec = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('test-pattern'),
    width: z.number().int().min(2).max(16_384),
    height: z.number().int().min(2).max(16_384),
    fps: z.number().int().min(1).max(240),
  }),
  z.strictObject({
    kind: z.literal('scanout'),
    socket,
    scanout: z.number().int().min(0).max(63),
  }),
  z.strictObject({
    kind: z.literal('capture'),
    socket,
    capture: z.number().int().min(1).max(0xffffffff),
  }),
  z
    .strictObject({ kind: z.literal('resource'), socket })
    .describe('resources of a VM, by the ids that commands say'),
]);
export type SourceSpec = z.infer<typeof SourceSpec>;

/** Engines, GPUs' own first, as `auto` tries them. */
export const ENGINES = [
  'nvidia',
  'vaapi',
  'qsv',
  'x264',
  'openh264',
  'x265',
  'aom',
  'vpx',
] as const;
/** Codecs, and the RFC 6381 prefix by which a viewer names each. */
export const CODECS = ['h264', 'hevc', 'av1', 'vp9'] as const;
export type Codec = (typeof CODECS)[number];
export const CODEC_PREFIX: Readonly<Record<Codec, string>> = {
  h264: 'avc1',
  hevc: 'hvc1',
  av1: 'av01',
  vp9: 'vp09',
};
/** Which paths may be taken, whatever works (docs/engines.md). */
export const MODES = ['auto', 'zerocopy', 'native', 'shm'] as const;

/** A path that is not taken, and why. */
export const TriedPath = z.object({
  engine: z.string().max(64),
  path: z.string().max(64),
  reason: z.string().max(1000),
});
export type TriedPath = z.infer<typeof TriedPath>;

/** How a worker encodes. */
export const EngineSpec = z.strictObject({
  engine: z.enum(['auto', ...ENGINES]),
  codec: z.enum(CODECS).optional().describe('h264 where absent'),
  mode: z.enum(MODES).optional().describe('auto where absent'),
  renderNode: z
    .string()
    .regex(/^(renderD\d{1,4})?$/)
    .optional()
    .describe('of VA-API, for a GPU that is not the first'),
  cuda: z.number().int().min(0).max(63).optional().describe('number of the GPU for CUDA'),
  avoid: z
    .array(TriedPath)
    .max(64)
    .optional()
    .describe('paths that ended a worker, with the reason'),
  bitrateKbps: z.number().int().min(100).max(200_000),
  maxFps: z.number().int().min(1).max(240),
  keepaliveMs: z
    .union([z.literal(0), z.number().int().min(100).max(60_000)])
    .describe('a still picture is encoded anew this often [ms]; 0: never'),
});
export type EngineSpec = z.infer<typeof EngineSpec>;

const resourceId = z.number().int().min(1).max(0xffffffff);
const token = z.number().int().min(0).max(0xffffffff);

/** What the bridge tells of the pictures of a `resource` source. */
export const FeedCommand = z.discriminatedUnion('type', [
  z.strictObject({
    type: z.literal('resource'),
    resource: resourceId,
    width: dimension,
    height: dimension,
    stride: z.number().int().min(1).max(1_048_576),
    offset: z.number().int().min(0).max(Number.MAX_SAFE_INTEGER),
    format: z.number().int().min(1).max(0xffffffff),
    modifier: z.string().regex(/^[0-9a-f]{16}$/),
    backing: z.boolean(),
  }),
  z.strictObject({ type: z.literal('resource-gone'), resource: resourceId }),
  z.strictObject({
    type: z.literal('frame'),
    token,
    resource: resourceId,
    pts: z.number().int().min(0).describe('CLOCK_MONOTONIC of this machine [us]'),
    damage: AgentRect.optional(),
  }),
]);
export type FeedCommand = z.infer<typeof FeedCommand>;

/** What the bridge sends. */
export const ToWorker = z.discriminatedUnion('type', [
  ...FeedCommand.options,
  z.strictObject({ type: z.literal('start'), source: SourceSpec, engine: EngineSpec }),
  z.strictObject({
    type: z.literal('probe'),
    from: z.number().int().min(0).max(1000).describe('paths that have been tried already'),
  }),
  z.strictObject({ type: z.literal('key-frame') }),
  z.strictObject({ type: z.literal('active'), active: z.boolean() }),
  z.strictObject({ type: z.literal('bitrate'), kbps: z.number().int().min(100).max(200_000) }),
  z
    .strictObject({ type: z.literal('codec'), codec: z.enum(CODECS) })
    .describe('Starts the stream anew with another codec.'),
  z.strictObject({ type: z.literal('ping'), token: z.number().int().min(0) }),
  z.strictObject({ type: z.literal('stop') }),
]);
export type ToWorker = z.infer<typeof ToWorker>;

const text = z.string().max(2000);

/** Counters since the worker started. */
export const WorkerStats = z.object({
  encoded: z.number().describe('access units that came out of the encoder'),
  dropped: z.number().describe('pictures replaced by newer ones before encoding'),
  unchanged: z.number().describe('pictures in which nothing had changed'),
  keepalives: z.number().describe('unchanged pictures encoded anew'),
  lost: z.number().describe('access units dropped because the bridge did not read'),
  encodeUs: z
    .object({ p50: z.number(), p95: z.number(), p99: z.number() })
    .describe('picture reached the worker until its access unit came out [us]'),
});
export type WorkerStats = z.infer<typeof WorkerStats>;

/** An element that takes dma-bufs into a GPU. */
export const Importer = z.object({
  element: z.string().max(128),
  renderNode: z.string().max(64).optional(),
  dmabuf: z.array(z.string().max(64)).max(64).describe('formats of its caps; empty: none'),
});
export type Importer = z.infer<typeof Importer>;

/** One engine as the probe found it. */
export const EngineReport = z.object({
  engine: z.string().max(64),
  codec: z.string().max(32),
  works: z.boolean(),
  paths: z
    .array(
      z.object({
        path: text,
        works: z.boolean(),
        hardware: z.boolean().optional().describe('a GPU encodes'),
        input: z.enum(['dmabuf', 'system']).optional().describe('dmabuf: pictures stay on the GPU'),
        untried: z
          .boolean()
          .optional()
          .describe("its elements are there; a compositor's own dma-buf tells the rest"),
        elements: z.array(z.string().max(128)).max(64),
        reason: text.optional().describe('why it does not work'),
        install: z.array(z.string().max(128)).max(64).optional().describe('Debian packages'),
        codec: z.string().max(64).optional().describe('RFC 6381, of what it encoded'),
        millisecondsPerFrame: z.number().optional().describe('at 640x360'),
      }),
    )
    .max(64),
});
export type EngineReport = z.infer<typeof EngineReport>;

/** What a worker says of the pictures of a `resource` source. */
export const FeedEvent = z.discriminatedUnion('type', [
  z
    .object({ type: z.literal('source'), open: z.boolean() })
    .describe('An engine was opened, which knows no resources yet; or it is gone.'),
  z.object({ type: z.literal('released'), token }),
  z.object({
    type: z.literal('resource-refused'),
    resource: resourceId,
    code: z.string().max(64),
    message: text,
  }),
]);
export type FeedEvent = z.infer<typeof FeedEvent>;

/** What a worker says, besides access units. */
export const FromWorker = z.discriminatedUnion('type', [
  ...FeedEvent.options,
  z.object({ type: z.literal('ready') }).describe('The engine takes commands.'),
  z.object({
    type: z.literal('chosen'),
    engine: z.string().max(64),
    path: text.describe('the chain that frames take, and why not a better one'),
    codec: z.enum(CODECS).optional(),
    hardware: z.boolean().optional().describe('a GPU encodes'),
    tried: z.array(TriedPath).max(64).optional().describe('better paths, and why not'),
  }),
  z.object({
    type: z.literal('config'),
    id: z.number().int().min(0).max(65_535),
    codec: z.string().max(64),
    width: dimension,
    height: dimension,
    codedWidth: dimension,
    codedHeight: dimension,
    colorSpace: ColorSpace,
  }),
  z.object({
    type: z.literal('state'),
    state: SessionState,
    code: z.string().max(64).optional(),
    message: text.optional(),
  }),
  z.object({
    type: z.literal('cursor'),
    visible: z.boolean(),
    x: z.number().int(),
    y: z.number().int(),
    shape: z
      .object({
        hotX: z.number().int().min(0).max(256),
        hotY: z.number().int().min(0).max(256),
        width: z.number().int().min(1).max(256),
        height: z.number().int().min(1).max(256),
        rgba: z.string().max(400_000),
      })
      .optional(),
  }),
  z.object({ type: z.literal('stats'), stats: WorkerStats }),
  z
    .object({ type: z.literal('trying'), engine: z.string().max(64), path: z.string().max(64) })
    .describe('A path is about to start: if the worker dies now, it was this one.'),
  z.object({
    type: z.literal('engines'),
    engines: z.array(EngineReport).max(64),
    importers: z.array(Importer).max(64).optional(),
    complete: z.boolean().describe('false: more is to come, and what is being tried may hang'),
  }),
  z.object({ type: z.literal('pong'), token: z.number().int() }),
  z.object({
    type: z.literal('error'),
    code: z.string().max(64),
    message: text,
    remedy: text,
    fatal: z.boolean().describe('the worker ends after it'),
  }),
]);
export type FromWorker = z.infer<typeof FromWorker>;
