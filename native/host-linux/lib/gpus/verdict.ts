// What the answers mean, in plain words.
import type { Answer, CudaAnswer, EglAnswer, VaAnswer } from './ask.js';
import type { Device } from './sysfs.js';

/** A codec that a GPU's encoder was seen to take. */
export interface GpuCodec {
  readonly codec: string;
  /** Largest picture [pixels], where the driver says it. */
  readonly maxWidth?: number;
  readonly maxHeight?: number;
  /** Only the low-power entry point of VA-API has it. */
  readonly lowPower?: boolean;
}

/** What one engine can do on one GPU. */
export interface GpuEngine {
  readonly engine: 'nvidia' | 'vaapi' | 'qsv';
  readonly works: boolean;
  /** One sentence or two: what was found, and what to do about it. */
  readonly verdict: string;
  readonly codecs: readonly GpuCodec[];
}

/** A GPU and what it can do. */
export interface Gpu extends Device {
  readonly name: string;
  readonly engines: readonly GpuEngine[];
  /** Whether pictures can reach it without a copy by the processor, and how that is known. */
  readonly import: { readonly dmabuf: boolean; readonly verdict: string };
  /** DRM modifiers of XR24 that EGL imports, as "0x…"; empty: unknown or none. */
  readonly modifiers: readonly string[];
  /** Number of the device for CUDA. */
  readonly cuda?: number;
}

export const NVIDIA = 0x10de;
export const INTEL = 0x8086;
const AMD = 0x1002;
const VENDORS: Readonly<Record<number, string>> = {
  [NVIDIA]: 'NVIDIA',
  [INTEL]: 'Intel',
  [AMD]: 'AMD',
  4660: 'QEMU',
  6900: 'virtio',
};

/** What happened to a question that was not answered; undefined where it was. */
function unanswered(answer: Answer<unknown>, who: string): string | undefined {
  switch (answer.outcome) {
    case 'answered':
      return undefined;
    case 'hung':
      return `${who} hangs: while ${answer.stage} it gave no answer for ${answer.limitMs / 1000} s. Restart the machine or reinstall the driver; if it is just slow, ask with a longer --patience.`;
    case 'crashed':
      return `${who} crashes (${answer.how}) while ${answer.stage}. Reinstall the driver so that all its parts are of one version.`;
    case 'unasked':
      return `${who} could not be asked: ${answer.reason}. Run "npm run build".`;
  }
}

const no = (engine: GpuEngine['engine'], verdict: string): GpuEngine => ({
  engine,
  works: false,
  verdict,
  codecs: [],
});

const hex = (value: number) => value.toString(16).padStart(4, '0');

function nameOf(device: Device, cuda: CudaDevice | undefined, va: VaAnswer | undefined): string {
  if (cuda?.name) return cuda.name;
  const vendor = VENDORS[device.vendor] ?? (device.vendor ? `vendor ${hex(device.vendor)}` : 'GPU');
  const known = va?.driver?.match(/ for (.+?)( \(|$)/)?.[1];
  return known ?? `${vendor} ${device.device ? hex(device.device) : device.address}`;
}

type CudaDevice = NonNullable<CudaAnswer['devices']>[number];

/** CUDA writes "0000:65:00.0" in upper or lower case, and the domain with 4 or 8 digits. */
function samePci(a: string | undefined, b: string): boolean {
  const plain = (text: string) => text.toLowerCase().replace(/^0+(?=[0-9a-f]{4}:)/, '');
  return a !== undefined && plain(a) === plain(b);
}

function nvidiaEngine(
  device: Device,
  answer: Answer<CudaAnswer>,
  cuda: CudaDevice | undefined,
): GpuEngine {
  if (device.driver === undefined) {
    return no('nvidia', 'No kernel driver is bound to it. Install the NVIDIA driver.');
  }
  if (device.driver !== 'nvidia') {
    return no(
      'nvidia',
      `The kernel driver is ${device.driver}, which has no access to the encoder. Install NVIDIA's own driver for NVENC.`,
    );
  }
  const failed = unanswered(answer, 'The CUDA driver');
  if (failed !== undefined) return no('nvidia', failed);
  const result = answer.outcome === 'answered' ? answer.result : {};
  if (!result.loaded) {
    return no(
      'nvidia',
      `The kernel driver is there (${device.driverVersion}), but libcuda.so.1 cannot be loaded: the driver is half installed. Install the driver's library package (Debian: libcuda1).`,
    );
  }
  if (result.error !== undefined) {
    return no(
      'nvidia',
      `libcuda.so.1 loads, but CUDA does not start: ${result.error}. Library and kernel driver must be of one version; in a container the GPU must be passed in.`,
    );
  }
  if (cuda === undefined) {
    return no('nvidia', 'CUDA does not list this GPU. See CUDA_VISIBLE_DEVICES.');
  }
  if (cuda.error !== undefined) {
    return no('nvidia', `CUDA cannot use this GPU: ${cuda.error}.`);
  }
  const { encoder } = cuda;
  if (!encoder?.loaded) {
    return no(
      'nvidia',
      'CUDA works, but libnvidia-encode.so.1 cannot be loaded. Install it (Debian: libnvidia-encode1); in a container add the "video" driver capability.',
    );
  }
  if (!encoder.session) {
    const missing = /NO_ENCODE_DEVICE|UNSUPPORTED_DEVICE/.test(encoder.error ?? '');
    return no(
      'nvidia',
      missing
        ? `This GPU has no video encoder: libnvidia-encode ${encoder.version} loads, and refuses a session (${encoder.error}), as on data-centre parts. A software engine is used.`
        : `libnvidia-encode ${encoder.version} loads, and refuses a session: ${encoder.error}. Too many sessions may be open; or the parts of the driver differ in version.`,
    );
  }
  const codecs = encoder.codecs ?? [];
  return {
    engine: 'nvidia',
    works: true,
    verdict: `NVENC ${encoder.version} opened a session.`,
    codecs,
  };
}

function vaEngine(device: Device, answer: Answer<VaAnswer> | undefined): GpuEngine {
  if (device.renderNode === undefined || answer === undefined) {
    return no(
      'vaapi',
      device.driver === undefined
        ? 'No kernel driver is bound to it.'
        : `The driver ${device.driver} gives it no render node.`,
    );
  }
  const failed = unanswered(answer, 'The VA-API driver');
  if (failed !== undefined) return no('vaapi', failed);
  const result = answer.outcome === 'answered' ? answer.result : {};
  if (!result.loaded || result.drm?.loaded === false) {
    const missing = result.loaded ? 'libva-drm.so.2 (libva-drm2)' : 'libva.so.2 (libva2)';
    return no('vaapi', `${missing} cannot be loaded. Install it.`);
  }
  if (result.error !== undefined) {
    const driver = device.vendor === INTEL ? 'intel-media-va-driver' : 'mesa-va-drivers';
    return no(
      'vaapi',
      `${result.error}. ${/cannot be opened/.test(result.error) ? 'Let this user into the group render.' : `Install the VA-API driver (Debian: ${driver}).`}`,
    );
  }
  const encoders = result.encoders ?? [];
  const working = encoders.filter((encoder) => encoder.works);
  if (working.length === 0) {
    const first = encoders[0];
    return no(
      'vaapi',
      first
        ? `The driver lists encoders, but makes none: ${first.error}.`
        : `The driver (${result.driver}) has no encoder for this GPU. A package with more codecs may have (Debian: intel-media-va-driver-non-free).`,
    );
  }
  const codecs = [...new Set(working.map(({ codec }) => codec))].map((codec) => {
    const same = working.filter((encoder) => encoder.codec === codec);
    const { maxWidth, maxHeight } = same[0] as (typeof same)[number];
    return {
      codec,
      ...(maxWidth !== undefined && { maxWidth }),
      ...(maxHeight !== undefined && { maxHeight }),
      ...(same.every(({ lowPower }) => lowPower) && { lowPower: true }),
    };
  });
  return { engine: 'vaapi', works: true, verdict: `${result.driver} made an encoder.`, codecs };
}

function qsvEngine(va: GpuEngine): GpuEngine {
  // Quick Sync on Linux stands on the same VA-API driver; its own runtime is tried with real pictures.
  if (!va.works) return { ...va, engine: 'qsv' };
  return { ...va, engine: 'qsv', verdict: `The VA-API driver that Quick Sync needs works.` };
}

type EglDevice = NonNullable<EglAnswer['devices']>[number];

function eglOf(
  device: Device,
  answer: Answer<EglAnswer>,
  cuda: CudaDevice | undefined,
): EglDevice | undefined {
  if (answer.outcome !== 'answered') return undefined;
  return answer.result.devices?.find(
    (each) =>
      (each.renderNode !== undefined && each.renderNode === device.renderNode) ||
      (each.cuda !== undefined && each.cuda === cuda?.ordinal),
  );
}

function importOf(device: Device, egl: Answer<EglAnswer>, found: EglDevice | undefined) {
  const failed = unanswered(egl, 'EGL');
  if (failed !== undefined) return { dmabuf: false, verdict: failed };
  if (found?.imports) {
    const count = found.formats?.XR24?.length ?? 0;
    return { dmabuf: true, verdict: `EGL imports dma-bufs (XR24: ${count} modifiers).` };
  }
  if (found) {
    return {
      dmabuf: false,
      verdict: found.error ?? 'EGL imports no dma-bufs: pictures are uploaded.',
    };
  }
  return {
    dmabuf: false,
    verdict: device.renderNode
      ? 'EGL does not know it: pictures are uploaded. Install the GL part of its driver.'
      : 'It has no render node: pictures are uploaded.',
  };
}

/** Joins what the kernel and the libraries said of a GPU. */
export function judge(
  device: Device,
  answers: { cuda: Answer<CudaAnswer>; egl: Answer<EglAnswer>; va?: Answer<VaAnswer> | undefined },
): Gpu {
  const { cuda, egl, va } = answers;
  const known =
    cuda.outcome === 'answered'
      ? cuda.result.devices?.find((each) => samePci(each.pci, device.address))
      : undefined;
  const found = eglOf(device, egl, known);
  const engines: GpuEngine[] = [];
  if (device.vendor === NVIDIA) engines.push(nvidiaEngine(device, cuda, known));
  else engines.push(vaEngine(device, va));
  if (device.vendor === INTEL) engines.push(qsvEngine(engines[0] as GpuEngine));
  return {
    ...device,
    name: nameOf(device, known, va?.outcome === 'answered' ? va.result : undefined),
    engines,
    import: importOf(device, egl, found),
    modifiers: found?.formats?.XR24 ?? [],
    ...(known && { cuda: known.ordinal }),
  };
}
