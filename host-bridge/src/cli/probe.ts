// scanbridge probe, scanbridge selftest: what this machine can encode with, in plain words or as JSON.
import { findGpus, type Gpu } from '@scanbridge/native-host-linux/gpus';
import { pino } from 'pino';
import { EngineProbe } from '../engine-probe.js';
import { reasonOf } from '../errors.js';
import type { EngineReport, Importer } from '../worker/messages.js';

interface ProbeArguments {
  readonly json: boolean;
  /** How long a driver may take [s]. */
  readonly patience: number;
}

/** What `scanbridge probe --json` prints. */
export interface ProbeReport {
  readonly gpus: readonly Gpu[];
  readonly engines: readonly EngineReport[];
  /** Elements that take dma-bufs into a GPU, and the formats of their caps on this machine. */
  readonly importers: readonly Importer[];
  /** Why the engines could not be asked. */
  readonly error?: string;
  /** What a person should know at once. */
  readonly warnings: readonly string[];
}

/** Asks GPUs' drivers and tries the engines, both at once. */
export async function probeMachine(patienceMs: number, cached = true): Promise<ProbeReport> {
  // On macOS the system knows its one GPU; there is nothing to ask.
  const gpus = process.platform === 'linux' ? findGpus({ patienceMs, cached }) : [];
  const prober = new EngineProbe(pino({ level: 'silent' }), patienceMs);
  const engines = prober.engines().then(
    (found) => ({ engines: found, importers: prober.importers }),
    (error: unknown) => ({ engines: [], importers: [], error: reasonOf(error) }),
  );
  const found = await gpus;
  return { gpus: found, ...(await engines), warnings: warningsFor(found) };
}

/** An NVIDIA GPU that does not encode surprises people, and costs them a processor. */
export function warningsFor(gpus: readonly Gpu[]): string[] {
  return gpus.flatMap((gpu) =>
    gpu.engines
      .filter(({ engine, works }) => engine === 'nvidia' && !works)
      .map(({ verdict }) => `${gpu.name} (${gpu.address}) will not encode. ${verdict}`),
  );
}

function describeGpu(gpu: Gpu): string {
  const driver = gpu.driver ? `${gpu.driver} ${gpu.driverVersion ?? ''}`.trim() : 'no driver';
  const node = gpu.renderNode ?? 'no render node';
  const lines = [`${gpu.name} at ${gpu.address} (${driver}, ${node})`];
  for (const { engine, works, verdict, codecs } of gpu.engines) {
    lines.push(`  ${engine}: ${works ? 'works' : 'does not work'}. ${verdict}`);
    for (const { codec, maxWidth, maxHeight, lowPower } of codecs) {
      const size = maxWidth && maxHeight ? ` up to ${maxWidth}x${maxHeight}` : '';
      lines.push(`    ${codec}${size}${lowPower ? ', low power only' : ''}`);
    }
  }
  lines.push(`  zero copy: ${gpu.import.verdict}`);
  return lines.join('\n');
}

function describeEngine(report: EngineReport): string {
  const lines = [`${report.engine} (${report.codec}): ${report.works ? 'works' : 'does not work'}`];
  // Engines of which nothing is there need one line.
  const absent = report.paths.filter(({ install }) => install?.length);
  if (!report.works && absent.length === report.paths.length) {
    const packages = [...new Set(absent.flatMap(({ install }) => install ?? []))];
    return `${lines[0]}; its elements are not there. Packages: ${packages.join(' ')}; those of GPUs show only where a GPU has them.`;
  }
  for (const path of report.paths) {
    const speed = path.millisecondsPerFrame;
    let detail = path.reason ?? 'does not work';
    if (path.works)
      detail = `works${speed === undefined ? '' : `, ${speed.toFixed(1)} ms a picture of 640x360`}`;
    if (path.untried) detail = "is there; it is tried with a desktop's own dma-buf";
    lines.push(`  ${path.path}: ${detail}`);
    if (path.install?.length) lines.push(`    install: apt install ${path.install.join(' ')}`);
  }
  return lines.join('\n');
}

/** The report for people. */
export function describeProbe(report: ProbeReport): string {
  const gpus = report.gpus.map(describeGpu);
  if (gpus.length === 0) gpus.push('This machine has no GPU: engines that need none are used.');
  const engines = report.engines.map(describeEngine);
  for (const { element, renderNode, dmabuf } of report.importers) {
    const takes = dmabuf.length > 0 ? dmabuf.slice(0, 8).join(', ') : 'none';
    engines.push(`${element}${renderNode ? ` on ${renderNode}` : ''} takes dma-bufs: ${takes}`);
  }
  if (report.error) engines.push(`The engines could not be asked: ${report.error}`);
  const warnings = report.warnings.map((warning) => `WARNING: ${warning}`);
  return `${[...warnings, ...gpus, '', ...engines].join('\n')}\n`;
}

/** Exit code 1 when no engine works. */
export async function probe(args: ProbeArguments): Promise<void> {
  const report = await probeMachine(args.patience * 1000);
  if (args.json) process.stdout.write(`${JSON.stringify(report, undefined, 2)}\n`);
  else process.stdout.write(describeProbe(report));
  if (!report.engines.some((engine) => engine.works)) process.exitCode = 1;
}
