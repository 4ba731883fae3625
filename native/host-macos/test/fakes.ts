// The addon on the fakes of test/fakes/apple, for tests on other systems than macOS.
import { execFile } from 'node:child_process';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';

/** This package; tests run from dist/test. */
const PACKAGE = join(import.meta.dirname, '../..');
const FAKES = 'build/fakes';

/** Builds what has changed. @returns the addon */
export async function buildFakes(): Promise<string> {
  const cmakeJs = createRequire(import.meta.url).resolve('cmake-js/package.json');
  const program = join(dirname(cmakeJs), 'bin/cmake-js');
  await promisify(execFile)(
    // Two test files may ask at the same time.
    'flock',
    [
      join(PACKAGE, 'package.json'),
      ...[process.execPath, program, 'build', '-O', FAKES],
      ...['--CDSCANBRIDGE_FAKES=ON', '--parallel', '2'],
    ],
    { cwd: PACKAGE },
  );
  return join(PACKAGE, FAKES, 'Release/scanbridge_host_macos.node');
}
