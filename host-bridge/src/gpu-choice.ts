// Which GPU encodes, in the words of the engines.
import type { Gpu } from '@scanbridge/native-host-linux/gpus';
import { OptionError } from './errors.js';
import type { EngineSpec } from './worker/messages.js';

/**
 * @param wanted PCI address ("0000:65:00.0", or without the domain) or render node ("/dev/dri/renderD129")
 * @throws {OptionError}
 */
export function chooseGpu(
  wanted: string,
  gpus: readonly Gpu[],
): Pick<EngineSpec, 'renderNode' | 'cuda'> {
  const address = wanted.toLowerCase();
  const gpu = gpus.find(
    (each) =>
      each.renderNode === wanted || each.address === address || each.address === `0000:${address}`,
  );
  if (!gpu) {
    const there = gpus.map((each) => `${each.address} (${each.name})`).join(', ');
    throw new OptionError(
      `there is no GPU ${wanted}`,
      there === '' ? 'this machine has none; leave --gpu out' : `choose one of: ${there}`,
    );
  }
  // GStreamer's VA-API elements of the first render node have no node in their names.
  const nodes = gpus
    .filter((each) => each.engines.some(({ engine }) => engine === 'vaapi'))
    .map((each) => each.renderNode)
    .filter((node) => node !== undefined)
    .sort();
  const first = gpu.renderNode === undefined || gpu.renderNode === nodes[0];
  const nvidia = gpu.engines.some(({ engine }) => engine === 'nvidia');
  return {
    ...(!first && !nvidia && { renderNode: gpu.renderNode?.replace('/dev/dri/', '') }),
    ...(gpu.cuda !== undefined && { cuda: gpu.cuda }),
  };
}
