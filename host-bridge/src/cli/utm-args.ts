// scanbridge utm-args: what to enter in UTM so that a virtual machine serves its desktops, without a change to UTM.
import type { Argv } from 'yargs';
import { OptionError } from '../errors.js';

/** Of UTM's release builds; a build of one's own has another prefix. */
const GROUP_CONTAINER = 'Library/Group Containers/WDNLXAD4W8.com.utmapp.UTM';
/** sun_path of macOS without its NUL [bytes]. */
const MAX_SOCKET = 103;
/** The longest port of vsock, as it is appended to a socket's name: "_4294967295". */
const PORT_SUFFIX = 11;
/** virtio-gpu has 16 scanouts; the first one is the console. */
const MAX_DESKTOPS = 15;

export interface UtmOptions {
  /** Desktops beside the console, 1 to 15. */
  desktops: number;
  /** Start of the sockets' names: lower-case letters, digits and dashes. */
  name: string;
  /** Model of the display card that is chosen in UTM. */
  card: string;
  /** Context id that the guest sees, 3 to 2^32 - 2. Machines may share it: their sockets tell them apart. */
  cid: number;
  /** Folder of the sockets: QEMU's working directory in UTM. */
  container: string;
}

export interface UtmPlan {
  /** Lines for "QEMU", "Arguments" in the settings of the virtual machine. */
  qemu: string[];
  /** Arguments of `scanbridge serve`, to be run in `container`. */
  serve: string[];
  container: string;
}

function checkRange(what: string, value: number, low: number, high: number): void {
  if (Number.isInteger(value) && value >= low && value <= high) return;
  throw new OptionError(`${what} is ${value}`, `use a whole number from ${low} to ${high}`);
}

/**
 * Sockets have short names without a folder: QEMU runs in a sandbox, in which its working directory is the group
 * container and most other places cannot be written.
 * @throws {OptionError}
 */
export function planUtm(options: UtmOptions): UtmPlan {
  const { desktops, name, card, cid, container } = options;
  checkRange('--desktops', desktops, 1, MAX_DESKTOPS);
  checkRange('--cid', cid, 3, 0xffff_fffe);
  if (!/^[a-z0-9-]{1,16}$/.test(name)) {
    throw new OptionError(
      `--name "${name}" is no name for sockets`,
      'use up to 16 lower-case letters, digits and dashes',
    );
  }
  if (!/^virtio-(gpu|gpu-gl|vga|vga-gl|ramfb|ramfb-gl)(-pci|-device)?$/.test(card)) {
    throw new OptionError(
      `--card ${card} is no virtio-gpu`,
      'choose virtio-gpu-gl-pci in UTM, under Display, or virtio-gpu-pci without a GPU',
    );
  }
  const surfaces = `${name}.fe`;
  const vsock = `${name}.vs`;
  const longest = Buffer.byteLength(`${container}/${vsock}`) + PORT_SUFFIX;
  if (longest > MAX_SOCKET) {
    throw new OptionError(
      `sockets in ${container} would have names of ${longest} bytes, and macOS has room for ${MAX_SOCKET}`,
      'use a shorter --name',
    );
  }
  return {
    qemu: [
      '-global',
      `${card}.max_outputs=${desktops + 1}`,
      '-object',
      `frame-export,id=scanbridge,path=${surfaces}`,
      '-device',
      `virtio-vsock-unix-pci,guest-cid=${cid},path=${vsock}`,
    ],
    serve: [
      '--scanout',
      `${surfaces},name=${name},enable=${desktops === 1 ? '1' : `1-${desktops}`}`,
      '--vsock',
      vsock,
    ],
    container,
  };
}

export const utmArgsOptions = (y: Argv) =>
  y
    .option('desktops', {
      type: 'number',
      default: 4,
      describe: `desktops beside the console, 1 to ${MAX_DESKTOPS}`,
    })
    .option('name', { type: 'string', default: 'sb', describe: 'start of the names of sockets' })
    .option('card', {
      type: 'string',
      default: 'virtio-gpu-gl-pci',
      describe: "the virtual machine's display card",
    })
    .option('cid', { type: 'number', default: 3, describe: "the guest's vsock address" })
    .option('container', {
      type: 'string',
      default: `${process.env.HOME ?? ''}/${GROUP_CONTAINER}`,
      describe: "UTM's folder for sockets",
    })
    .option('json', { type: 'boolean', default: false, describe: 'print JSON' })
    .example('$0 utm-args --desktops 2', 'two desktops beside the console');

const quoted = (text: string) => (/^[\w./,=:-]+$/.test(text) ? text : `'${text}'`);

/** Prints what to enter, and how to start the bridge. */
export function utmArgs(args: UtmOptions & { json: boolean }): void {
  const plan = planUtm(args);
  if (args.json) {
    process.stdout.write(`${JSON.stringify(plan, undefined, 2)}\n`);
    return;
  }
  const lines = [
    `In UTM, with the virtual machine stopped: Edit, Display: the card is ${args.card}.`,
    'Then QEMU, Arguments, New: each of these lines is an argument of its own.',
    '',
    ...plan.qemu.map((line) => `  ${line}`),
    '',
    'Start the virtual machine, then the bridge:',
    '',
    `  cd ${quoted(plan.container)}`,
    `  scanbridge serve ${plan.serve.join(' ')}`,
  ];
  process.stdout.write(`${lines.join('\n')}\n`);
}
