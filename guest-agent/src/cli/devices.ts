// scanbridge-agent devices
import { type Gpu, listGpus, listVirtioGpus, type VirtioGpuNode } from '@scanbridge/native-guest';

/** For a person: one paragraph a GPU. */
export function describeGpu(gpu: Gpu, virtual?: VirtioGpuNode): string {
  const title =
    virtual !== undefined && virtual.error === undefined
      ? `${gpu.path}  virtio-gpu: its buffers have resource ids`
      : gpu.path;
  if (gpu.formats.length === 0) {
    return `${title}\n  no formats: ${gpu.error ?? 'the driver imports none'}`;
  }
  const formats = gpu.formats.map(
    ({ format, modifiers }) =>
      `  ${format}  ${modifiers.map((m) => `0x${m.toString(16).padStart(16, '0')}`).join(' ')}`,
  );
  return `${title}\n${formats.join('\n')}`;
}

export function devices(args: { json: boolean }): void {
  const virtual = new Map(listVirtioGpus().map((node) => [node.path, node]));
  const gpus = listGpus();
  if (args.json) {
    const list = gpus.map((gpu) => ({
      ...gpu,
      virtio: virtual.has(gpu.path) && virtual.get(gpu.path)?.error === undefined,
    }));
    const text = JSON.stringify(list, (_, value) =>
      typeof value === 'bigint' ? `0x${value.toString(16)}` : value,
    );
    process.stdout.write(`${text}\n`);
    return;
  }
  process.stdout.write(
    gpus.length === 0
      ? 'No GPU (no DRM render node in /dev/dri): desktops are captured through shared memory.\n'
      : `${gpus.map((gpu) => describeGpu(gpu, virtual.get(gpu.path))).join('\n')}\n`,
  );
}
