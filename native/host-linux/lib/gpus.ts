// The GPUs of this machine and what they can do. Loads no vendor's library into this process, and not the addon either.
import { join } from 'node:path';
import {
  type Answer,
  type AskOptions,
  ask,
  type CudaAnswer,
  type EglAnswer,
  type VaAnswer,
} from './gpus/ask.js';
import { AnswerCache, cacheFile } from './gpus/cache.js';
import { findDevices, hasNvidiaKernel } from './gpus/sysfs.js';
import { type Gpu, judge, NVIDIA } from './gpus/verdict.js';

export type { Device } from './gpus/sysfs.js';
export type { Gpu, GpuCodec, GpuEngine } from './gpus/verdict.js';

/** A driver that has not answered after this long hangs [ms]. */
const PATIENCE_MS = 2000;

export interface FindGpusOptions {
  /** Root of the file system that holds /sys and /dev/dri. */
  readonly root?: string;
  /** How long a driver may take to answer [ms]. */
  readonly patienceMs?: number;
  /** Environment of the drivers, and of the cache's place. */
  readonly env?: NodeJS.ProcessEnv;
  /** false: ask all drivers anew. */
  readonly cached?: boolean;
}

/**
 * Finds all GPUs and asks their drivers, all at once: takes as long as the slowest answer, at most `patienceMs` and a
 * moment. Never rejects for what a driver does.
 */
export async function findGpus(options: FindGpusOptions = {}): Promise<Gpu[]> {
  const { root = '/', env = process.env } = options;
  const devices = findDevices(root);
  const limit: AskOptions = { limitMs: options.patienceMs ?? PATIENCE_MS, env };
  const path = options.cached === false ? '/dev/null' : cacheFile(env);
  const cache = new AnswerCache(path, devices, env);
  const nvidia = devices.some(({ vendor }) => vendor === NVIDIA) || hasNvidiaKernel(root);
  const none = <T>(result: T): Promise<Answer<T>> =>
    Promise.resolve({ outcome: 'answered', result });
  const vaNodes = devices
    .filter(({ vendor }) => vendor !== NVIDIA)
    .map(({ renderNode }) => renderNode)
    .filter((node) => node !== undefined);
  const [cuda, egl, ...va] = await Promise.all([
    nvidia ? cache.get<CudaAnswer>('cuda', () => ask(['cuda'], limit)) : none<CudaAnswer>({}),
    devices.length > 0
      ? cache.get<EglAnswer>('egl', () => ask(['egl'], limit))
      : none<EglAnswer>({}),
    ...vaNodes.map((node) =>
      cache.get<VaAnswer>(`va ${node}`, () => ask(['va', join(root, node)], limit)),
    ),
  ]);
  if (options.cached !== false) cache.save();
  return devices.map((device) =>
    judge(device, { cuda, egl, va: va[vaNodes.indexOf(device.renderNode ?? '')] }),
  );
}
