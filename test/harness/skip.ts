import type { ExecutionContext } from 'ava';

/**
 * Ends a test that this machine cannot run, loudly: the run's summary lists it with `reason`, and in CI
 * (CI=true) it fails the run unless test/expected-skips.json names it. Only for missing hardware; what
 * the machine can run is run.
 *
 *     if (renderNode === undefined) return skip(t, 'no DRM render node in /dev/dri');
 */
export function skip(t: ExecutionContext, reason: string): void {
  // setup/tap.mjs looks for this line.
  t.log(`SKIP: ${reason}`);
  t.pass();
}
