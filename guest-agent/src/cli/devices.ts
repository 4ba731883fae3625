// scanbridge-agent devices
import { type Gpu, listGpus } from '@scanbridge/native-guest';

/** For a person: one paragraph a GPU. */
export function describeGpu(gpu: Gpu): string {
  if (gpu.formats.length === 0) return `${gpu.path}\n  unusable: ${gpu.error ?? 'no formats'}`;
  const formats = gpu.formats.map(
    ({ format, modifiers }) =>
      `  ${format}  ${modifiers.map((m) => `0x${m.toString(16).padStart(16, '0')}`).join(' ')}`,
  );
  return `${gpu.path}\n${formats.join('\n')}`;
}

export function devices(args: { json: boolean }): void {
  const gpus = listGpus();
  if (args.json) {
    const text = JSON.stringify(gpus, (_, value) =>
      typeof value === 'bigint' ? `0x${value.toString(16)}` : value,
    );
    process.stdout.write(`${text}\n`);
    return;
  }
  process.stdout.write(
    gpus.length === 0
      ? 'No GPU (no DRM render node in /dev/dri): desktops are captured through shared memory.\n'
      : `${gpus.map(describeGpu).join('\n')}\n`,
  );
}
