import { type Logger, pino } from 'pino';

/** Logs as JSON lines to standard error; standard output is for results. */
export function createLog(level: string): Logger {
  return pino({ level, base: null }, pino.destination({ fd: 2, sync: true }));
}
