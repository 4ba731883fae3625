// npm run accept:macos -- [--socket FE.SOCK --scanout N [--qmp QMP.SOCK --device gpu0]] [--seconds S] [--json]
// What works on this Mac, step by step: run it, and send the output along with a report. --fakes runs the steps that need
// no Mac on fakes of Apple's frameworks, to test the script itself; its figures mean nothing.
import { execFile, execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { arch, cpus, totalmem } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs, promisify } from 'node:util';
import { Skip, Steps } from './steps.mjs';

const { values } = parseArgs({
  options: {
    socket: { type: 'string' },
    scanout: { type: 'string', default: '1' },
    qmp: { type: 'string' },
    device: { type: 'string', default: 'gpu0' },
    seconds: { type: 'string', default: '5' },
    json: { type: 'boolean', default: false },
    fakes: { type: 'boolean', default: false },
    help: { type: 'boolean', short: 'h', default: false },
  },
});
if (values.help) {
  process.stdout.write(`Usage: npm run accept:macos -- [options]

Reports what of Scanbridge works on this Mac: encoders, latency by size, many
desktops at once, memory, and with --socket the pictures of a running QEMU.

  --socket PATH   socket of QEMU's frame-export
  --scanout N     scanout to look at (1)
  --qmp PATH      socket of QEMU's monitor, to compare with its screenshot
  --device ID     id of the virtio-gpu device, for the screenshot (gpu0)
  --seconds S     length of each measurement (5)
  --json          also print one line of JSON
`);
  process.exit(0);
}
if (process.platform !== 'darwin' && !values.fakes) {
  process.stderr.write('accept:macos: this is no Mac. --fakes tests the script itself.\n');
  process.exit(2);
}
const addon = join(
  import.meta.dirname,
  '..',
  values.fakes ? 'build/fakes' : 'build',
  'Release/scanbridge_host_macos.node',
);
if (!existsSync(addon)) {
  process.stderr.write(`accept:macos: ${addon} is not built: run "npm run build"\n`);
  process.exit(2);
}
process.env.SCANBRIDGE_HOST_MACOS_ADDON = addon;
const { Engine, probe } = await import('@scanbridge/native-host-macos');
const { Scanout, screenshot, checksum } = await import('./exporter.mjs');

const seconds = Number(values.seconds);
const sizes = values.fakes
  ? ['320x180', '640x360']
  : ['1280x720', '1920x1080', '2560x1440', '3840x2160'];
const desktopSize = values.fakes ? '160x96' : '1920x1080';
const steps = new Steps();
const ms = (us) => `${(us / 1000).toFixed(1)} ms`;

async function encode(size, fps) {
  const script = join(import.meta.dirname, 'encode.mjs');
  const args = [script, size, String(fps), String(seconds)];
  const { stdout } = await promisify(execFile)(process.execPath, args);
  const figures = JSON.parse(stdout);
  if (figures.error) throw new Error(`${figures.error.code}: ${figures.error.message}`);
  return figures;
}

/** Memory of the encoder services, which are processes of the system's [MiB]. */
function serviceMemory() {
  if (process.platform !== 'darwin') return 0;
  const lines = execFileSync('ps', ['-axo', 'rss=,comm='], { encoding: 'utf8' }).split('\n');
  const kib = lines
    .filter((line) => line.includes('VTEncoder'))
    .map((line) => Number.parseInt(line, 10));
  return kib.reduce((sum, each) => sum + each, 0) / 1024;
}

const version =
  process.platform === 'darwin'
    ? execFileSync('sw_vers', ['-productVersion'], { encoding: 'utf8' }).trim()
    : 'none (FAKES)';
const about = {
  macos: version,
  arch: arch(),
  cpu: cpus()[0]?.model,
  memoryGiB: Math.round(totalmem() / 2 ** 30),
  node: process.version,
  fakes: values.fakes,
};
process.stdout.write(
  `Scanbridge on macOS ${about.macos}, ${about.arch}, ${about.cpu}, ${about.memoryGiB} GiB, Node ${about.node}\n\n`,
);

for (const report of await probe()) {
  await steps.run(`VideoToolbox ${report.codec}`, async () => {
    const [path] = report.paths;
    const hardware = path.path.includes('hardware');
    const text = path.works ? `${path.codec}, ${path.path}` : path.reason;
    return {
      ok: report.works && hardware,
      text: hardware || !path.works ? text : `${text}: no hardware`,
      figures: path,
    };
  });
}

for (const size of sizes) {
  await steps.run(`latency ${size} at 60/s`, async () => {
    const figures = await encode(size, 60);
    const { p50, p95 } = figures.encodeUs;
    const text = `encode p50 ${ms(p50)}, p95 ${ms(p95)}, ${figures.fps.toFixed(1)} pictures/s, ${figures.cpuPercent.toFixed(0)} % of a core, ${figures.droppedByEncoder} left out`;
    return { ok: figures.fps > 0, text, figures };
  });
}

for (const count of [1, 4, 15]) {
  await steps.run(`${count} desktops of ${desktopSize} at 30/s`, async () => {
    const running = Promise.all(Array.from({ length: count }, () => encode(desktopSize, 30)));
    await new Promise((done) => setTimeout(done, seconds * 500));
    const service = serviceMemory();
    const all = await running;
    const slowest = Math.min(...all.map(({ fps }) => fps));
    const worst = Math.max(...all.map(({ encodeUs }) => encodeUs.p95));
    const own = all.reduce((sum, { rssMiB }) => sum + rssMiB, 0);
    const rebuilds = all.reduce((sum, each) => sum + each.rebuilds, 0);
    return {
      ok: all.every(({ fps }) => fps > 0) && rebuilds === 0,
      text: `slowest ${slowest.toFixed(1)} pictures/s, worst p95 ${ms(worst)}, workers ${own.toFixed(0)} MiB, encoder services ${service.toFixed(0)} MiB, ${rebuilds} sessions died`,
      figures: { slowest, worst, own, service, rebuilds },
    };
  });
}

await steps.run('memory of 40 sessions one after the other', async () => {
  const cycle = async () => {
    const engine = new Engine({
      source: { kind: 'test-pattern', width: 640, height: 360, fps: 60 },
      ...{ engine: 'auto', bitrateKbps: 4000, maxFps: 60, keepaliveMs: 0, cursor: false },
    });
    await new Promise((done) => engine.once('video', done));
    await engine.close();
  };
  // What is allocated once is not counted.
  for (let i = 0; i < 10; i++) await cycle();
  const before = process.memoryUsage.rss();
  for (let i = 0; i < 40; i++) await cycle();
  const grown = (process.memoryUsage.rss() - before) / 2 ** 20;
  // One leaked picture of this size a session would be 36 MiB.
  return { ok: grown < 30, text: `grew by ${grown.toFixed(1)} MiB`, figures: { grown } };
});

await steps.run('exporter', async () => {
  if (!values.socket)
    throw new Skip(
      'no --socket: start a virtual machine as "scanbridge utm-args" says, and name its socket',
    );
  const scanout = await Scanout.open(resolve(values.socket), Number(values.scanout));
  try {
    const { frame, description } = await scanout.next();
    const { iosurfaceId, width, height } = description;
    return {
      ok: iosurfaceId !== 0,
      text: `IOSurface ${iosurfaceId} of ${width}x${height}, sequence ${frame.sequence}`,
      figures: { width, height },
    };
  } finally {
    scanout.close();
  }
});

await steps.run('pixels', async () => {
  if (!values.socket || !values.qmp)
    throw new Skip('no --socket and --qmp: add -qmp unix:qmp.sock,server=on,wait=off to QEMU');
  const scanout = await Scanout.open(resolve(values.socket), Number(values.scanout));
  try {
    const { pixels } = await scanout.next();
    const wanted = await screenshot(resolve(values.qmp), values.device, Number(values.scanout));
    const got = checksum(pixels, 4, [2, 1, 0]);
    const want = checksum(wanted.rgb, 3, [0, 1, 2]);
    return {
      ok: got === want,
      text:
        got === want
          ? `checksum ${got}, as QEMU's screenshot`
          : `checksum ${got}, QEMU's screenshot has ${want}: is the desktop still?`,
    };
  } finally {
    scanout.close();
  }
});

process.exitCode = steps.finish(about, values.json);
