// scanbridge-agent doctor
import { examine, type Verdict } from '../doctor.js';
import { parseBridge } from '../transports.js';

const MARKS: Record<Verdict, string> = { good: 'ok     ', absent: 'absent ', missing: 'MISSING' };

/** Prints what was found; the process fails when something that everything needs is missing. */
export async function doctor(args: { bridge?: string | undefined; json: boolean }): Promise<void> {
  const findings = await examine(args.bridge === undefined ? undefined : parseBridge(args.bridge));
  if (args.json) {
    process.stdout.write(`${JSON.stringify(findings)}\n`);
  } else {
    for (const { what, verdict, detail } of findings) {
      process.stdout.write(`${MARKS[verdict]}  ${what}: ${detail}\n`);
    }
  }
  if (findings.some(({ verdict }) => verdict === 'missing')) process.exitCode = 1;
}
