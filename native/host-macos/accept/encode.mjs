// One encoder in a process of its own, as the bridge has it: node encode.mjs WIDTHxHEIGHT FPS SECONDS. Prints its figures
// as JSON.
import { Engine } from '@scanbridge/native-host-macos';

const [size = '', fps = '60', seconds = '5'] = process.argv.slice(2);
const [width, height] = size.split('x').map(Number);
const engine = new Engine({
  source: { kind: 'test-pattern', width, height, fps: Number(fps) },
  engine: 'auto',
  bitrateKbps: 20_000,
  maxFps: Number(fps),
  keepaliveMs: 0,
  cursor: false,
});
let path;
engine.on('chosen', (chosen) => {
  path = chosen.path;
});
const failure = new Promise((resolve) => engine.on('end', resolve));
const started = performance.now();
const cpu = process.cpuUsage();
const error = await Promise.race([
  failure,
  new Promise((resolve) => setTimeout(resolve, Number(seconds) * 1000)),
]);
const elapsed = (performance.now() - started) / 1000;
const { user, system } = process.cpuUsage(cpu);
const stats = engine.stats();
process.stdout.write(
  `${JSON.stringify({
    size,
    path,
    error: error && { code: error.code, message: error.message },
    fps: stats.encoded / elapsed,
    encodeUs: stats.encode,
    droppedByEncoder: stats.droppedByEncoder,
    rebuilds: stats.rebuilds,
    cpuPercent: (user + system) / elapsed / 10_000,
    rssMiB: process.memoryUsage.rss() / 2 ** 20,
  })}\n`,
);
await engine.close();
