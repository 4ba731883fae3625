// Logs: one JSON object a line, or one line for a person where standard error is a terminal.
import { type Logger, pino } from 'pino';

const LABELS: Readonly<Record<number, string>> = {
  10: 'trace',
  20: 'debug',
  30: 'info',
  40: 'warning',
  50: 'error',
  60: 'fatal',
};
/** What a person does not need on each line. */
const HIDDEN = new Set(['level', 'time', 'msg', 'pid', 'hostname']);

/** A line of pino's as a person reads it. */
export function prettyLine(json: string): string {
  const entry = JSON.parse(json) as Record<string, unknown>;
  const time = new Date(Number(entry.time)).toTimeString().slice(0, 8);
  const fields = Object.entries(entry)
    .filter(([key]) => !HIDDEN.has(key))
    .map(([key, value]) => ` ${key}=${typeof value === 'string' ? value : JSON.stringify(value)}`);
  const level = LABELS[Number(entry.level)] ?? 'info';
  const label = level === 'info' ? '' : `${level}: `;
  const line = `${time} ${label}${String(entry.msg)}${fields.join('')}`;
  // What a guest or a viewer wrote must not command the terminal.
  return `${line.replace(/\p{Cc}/gu, '?')}\n`;
}

/** The log of the command line: goes to standard error, so that standard output is for results. */
export function createLog(level: string): Logger {
  const stream = process.stderr.isTTY
    ? { write: (line: string) => process.stderr.write(prettyLine(line)) }
    : { write: (line: string) => process.stderr.write(line) };
  return pino({ level, base: null }, stream);
}
