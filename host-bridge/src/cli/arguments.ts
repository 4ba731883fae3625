// Reads option values of the command line that have a form of their own.
import { AGENT_PORT } from '@scanbridge/protocol/agent';
import type { TransportSpec } from '../agents/transports/transport.js';
import type { TestPatternOptions } from '../bridge.js';
import { OptionError } from '../errors.js';
import type { ScanoutOptions } from '../sources/scanouts.js';

/** `WxH@FPS`, as 1280x720@60. @throws {OptionError} */
export function parseTestPattern(text: string): TestPatternOptions {
  const match = /^(\d{1,5})x(\d{1,5})(?:@(\d{1,3}))?$/.exec(text);
  if (!match) throw new OptionError(`"${text}" is no test pattern`, 'write it as 1280x720@60');
  return { width: Number(match[1]), height: Number(match[2]), fps: Number(match[3] ?? 60) };
}

function parseSize(text: string): { width: number; height: number } {
  const match = /^(\d{1,5})x(\d{1,5})$/.exec(text);
  if (!match) throw new OptionError(`"${text}" is no size`, 'write it as size=1280x800');
  return { width: Number(match[1]), height: Number(match[2]) };
}

/** `1`, `1-3`, or `1+4`; scanout numbers. */
function parseScanouts(text: string): number[] {
  const numbers = text.split('+').flatMap((part) => {
    const match = /^(\d{1,2})(?:-(\d{1,2}))?$/.exec(part);
    const from = Number(match?.[1]);
    const to = Number(match?.[2] ?? match?.[1]);
    if (!match || to < from || to > 63) {
      throw new OptionError(`"${text}" are no scanouts`, 'write them as enable=1-2, or enable=1+3');
    }
    return Array.from({ length: to - from + 1 }, (_, i) => from + i);
  });
  return [...new Set(numbers)];
}

/** `SOCKET[,name=NAME][,enable=1-2][,size=WxH]`. @throws {OptionError} */
export function parseScanoutSocket(text: string): ScanoutOptions {
  const [socket = '', ...parts] = text.split(',');
  let options: ScanoutOptions = { socket };
  if (socket === '') throw new OptionError('--scanout names no socket', 'write --scanout SOCKET');
  for (const part of parts) {
    const [key, value = ''] = part.split('=', 2);
    if (key === 'name') options = { ...options, name: value };
    else if (key === 'enable') options = { ...options, enable: parseScanouts(value) };
    else if (key === 'size') options = { ...options, size: parseSize(value) };
    else throw new OptionError(`--scanout has no "${part}"`, 'use name=, enable= and size=');
  }
  return options;
}

/** `BASE[,port=N]` of virtio-vsock-unix, or `kernel[,port=N]`. @throws {OptionError} */
export function parseVsock(text: string): TransportSpec {
  const [base = '', ...parts] = text.split(',');
  let port = AGENT_PORT;
  for (const part of parts) {
    const digits = /^port=(\d{1,10})$/.exec(part)?.[1];
    port = digits === undefined ? Number.NaN : Number(digits);
  }
  if (base === '' || !(port >= 1 && port < 0xffffffff)) {
    throw new OptionError(
      `--vsock ${text} is not understood`,
      `write it as --vsock BASE, BASE,port=${AGENT_PORT}, or kernel,port=${AGENT_PORT}`,
    );
  }
  return base === 'kernel' ? { kind: 'vsock', port } : { kind: 'vsock-unix', base, port };
}

const VM_FORM = 'NAME,exporter=SOCKET,vsock=BASE[,port=N][,serial=SOCKET]';

/**
 * `NAME,exporter=SOCKET,vsock=BASE[,port=N][,serial=SOCKET]`: the ways to a VM's agents, who may name what that exporter has.
 * @throws {OptionError}
 */
export function parseVm(text: string): TransportSpec[] {
  const [name = '', ...parts] = text.split(',');
  const values = new Map<string, string>();
  for (const part of parts) {
    const at = part.indexOf('=');
    values.set(part.slice(0, Math.max(at, 0)), part.slice(at + 1));
  }
  const { exporter, vsock, port = `${AGENT_PORT}`, serial, ...more } = Object.fromEntries(values);
  const number = /^\d{1,10}$/.test(port) ? Number(port) : 0;
  const wrong =
    name === '' || !exporter || (!vsock && !serial) || number < 1 || number >= 0xffffffff;
  if (wrong || Object.keys(more).length > 0) {
    throw new OptionError(`--vm ${text} is not understood`, `write it as --vm ${VM_FORM}`);
  }
  const vm = { name, exporter };
  return [
    ...(vsock ? [{ kind: 'vsock-unix' as const, base: vsock, port: number, vm }] : []),
    ...(serial ? [{ kind: 'serial' as const, path: serial, vm }] : []),
  ];
}

/** `HOST:PORT`, `[IPV6]:PORT`, or a host alone. @throws {OptionError} */
export function parseHostPort(text: string): { host: string; port: number } {
  const match = /^(?:\[([^\]]+)\]|([^:]+))(?::(\d{1,5}))?$/.exec(text);
  const host = match?.[1] ?? match?.[2];
  const port = Number(match?.[3] ?? AGENT_PORT);
  if (host === undefined || port > 65_535) {
    throw new OptionError(`"${text}" is no address`, `write it as 192.0.2.1:${AGENT_PORT}`);
  }
  return { host, port };
}
