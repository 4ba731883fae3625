// scanbridge sessions, scanbridge probe: what there is, for people or as JSON.
import { pino } from 'pino';
import { EngineProbe } from '../engine-probe.js';
import type { SessionReport } from '../session-report.js';
import type { EngineReport } from '../worker/messages.js';
import { ask, type ClientArguments } from './ask.js';

function table(rows: readonly (readonly string[])[]): string {
  const widths: number[] = [];
  for (const row of rows) {
    row.forEach((cell, i) => {
      widths[i] = Math.max(widths[i] ?? 0, cell.length);
    });
  }
  const line = (row: readonly string[]) =>
    row
      .map((cell, i) => cell.padEnd(widths[i] ?? 0))
      .join('  ')
      .trimEnd();
  return `${rows.map(line).join('\n')}\n`;
}

/** Prints the sessions of a running bridge. */
export async function listSessions(args: ClientArguments & { json: boolean }): Promise<void> {
  const answer = await ask<{ sessions: SessionReport[] }>(args, 'v1/sessions');
  if (args.json) {
    process.stdout.write(`${JSON.stringify(answer, undefined, 2)}\n`);
    return;
  }
  if (answer.sessions.length === 0) {
    process.stdout.write('This bridge has no sessions.\n');
    return;
  }
  const rows = answer.sessions.map((s) => [
    s.id,
    s.state,
    s.width === undefined ? '-' : `${s.width}x${s.height}`,
    String(s.fps),
    `${s.bitrateKbps} kbit/s`,
    String(s.viewers),
    s.engine || '-',
    s.lease ? `${s.lease.owner}${s.lease.check === 'contradicted' ? ' (doubtful)' : ''}` : '-',
    s.title,
  ]);
  const figures = ['SIZE', 'FPS', 'BITRATE', 'VIEWERS', 'ENGINE'];
  process.stdout.write(table([['SESSION', 'STATE', ...figures, 'OWNER', 'TITLE'], ...rows]));
}

function describeEngine(report: EngineReport): string {
  const lines = [`${report.engine} (${report.codec}): ${report.works ? 'works' : 'does not work'}`];
  for (const path of report.paths) {
    const speed = path.millisecondsPerFrame;
    const detail = path.works
      ? `works${speed === undefined ? '' : `, ${speed.toFixed(1)} ms a picture of 640x360`}`
      : (path.reason ?? 'does not work');
    lines.push(`  ${path.path}: ${detail}`);
    if (path.install?.length) lines.push(`    install: apt install ${path.install.join(' ')}`);
  }
  return lines.join('\n');
}

/** Tries the engines of this machine; exit code 1 when none works. */
export async function probe(args: { json: boolean }): Promise<void> {
  const engines = await new EngineProbe(pino({ level: 'silent' })).engines();
  if (args.json) process.stdout.write(`${JSON.stringify({ engines }, undefined, 2)}\n`);
  else process.stdout.write(`${engines.map(describeEngine).join('\n')}\n`);
  if (!engines.some((engine) => engine.works)) process.exitCode = 1;
}
