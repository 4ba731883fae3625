// scanbridge-agent resolve
import { type SourceBuffer, VirtioGpu } from '@scanbridge/native-guest';
import type { Argv } from 'yargs';
import { OptionError } from '../errors.js';
import { captureReady } from '../sources/source.js';

/** Buffers of one pool come together; this long after the last one there is no further [ms]. */
const QUIET = 200;

/** Options of the command. */
export function resolveOptions(yargs: Argv) {
  return yargs
    .positional('node', { type: 'number', demandOption: true, describe: 'PipeWire node id' })
    .option('pipewire', { type: 'string', describe: 'PipeWire socket, as a path or a name' })
    .option('device', { type: 'string', describe: 'DRM render node; the first virtio-gpu' })
    .option('json', { type: 'boolean', default: false, describe: 'print JSON' });
}

type ResolveArguments = Awaited<ReturnType<typeof resolveOptions>['argv']>;

/**
 * Shows what the host calls the buffers of a PipeWire node.
 * @throws {VirtioGpuError}
 * @throws {CaptureError}
 */
export async function resolve(args: ResolveArguments): Promise<void> {
  const { node, pipewire } = args;
  if (!Number.isInteger(node) || node < 0) throw new OptionError(`${node} is no node id.`);
  const gpu = new VirtioGpu(args.device);
  const capture = gpu.addCapture({
    node,
    maxFps: 60,
    ...(pipewire !== undefined && { remote: pipewire }),
  });
  const buffers: SourceBuffer[] = [];
  let reason: string | undefined;
  try {
    let more = () => {};
    const settled = new Promise<void>((done) => {
      const timer = setTimeout(done, QUIET).unref();
      more = () => timer.refresh();
    });
    capture.frames.on('buffer', (buffer) => {
      buffers.push(buffer);
      more();
    });
    capture.frames.on('fallback', (why) => {
      reason = why;
      buffers.length = 0;
      more();
    });
    await captureReady(capture, new AbortController().signal);
    more();
    await settled;
  } finally {
    await gpu.close();
  }
  const pool = buffers.map(({ kind, resource }) => ({ kind, resource }));
  const text = args.json
    ? JSON.stringify({ device: gpu.path, node, reason, buffers: pool })
    : describe(gpu.path, node, pool, reason);
  process.stdout.write(`${text}\n`);
}

/** For a person. */
function describe(
  device: string,
  node: number,
  buffers: readonly SourceBuffer[],
  reason: string | undefined,
): string {
  const ids = buffers.filter(({ resource }) => resource !== 0).map(({ resource }) => resource);
  const lines = [`node ${node}: ${buffers.length} buffers`];
  if (ids.length > 0) lines.push(`  resources of ${device}: ${ids.join(' ')}`);
  if (ids.length < buffers.length) {
    lines.push('  shared memory, which has no id: the agent copies it into a resource of its own');
  }
  if (reason !== undefined) lines.push(`  its dma-bufs were not taken: ${reason}`);
  return lines.join('\n');
}
