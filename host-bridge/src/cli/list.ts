// scanbridge sessions: what there is, for people or as JSON.
import type { SessionReport } from '../session-report.js';
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
