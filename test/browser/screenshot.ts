// Pictures of the viewer page for the documents:
//   node test/dist/browser/screenshot.js --url http://127.0.0.1:8080/ [--session ID] [--token T] [--out docs/images]
// shows a bridge that runs; without --url it starts one with test pictures.
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { startBridge } from '@scanbridge/bridge';
import yargs from 'yargs';
import { hideBin } from 'yargs/helpers';
import { startChromium } from '../harness/chromium.js';
import { until, ViewerPage } from './viewer-page.js';

/** Statistics are shown for the last five seconds [ms]. */
const STATS_WINDOW = 6_000;

const args = await yargs(hideBin(process.argv))
  .option('url', { type: 'string', describe: 'page of a running bridge' })
  .option('session', {
    type: 'string',
    describe: 'session in the full view; the first where absent',
  })
  .option('token', { type: 'string', describe: 'token of the bridge' })
  .option('out', { type: 'string', default: 'docs/images', describe: 'folder for the pictures' })
  .option('width', { type: 'number', default: 1280, describe: 'of the window [CSS pixels]' })
  .option('height', { type: 'number', default: 768, describe: 'of the window [CSS pixels]' })
  .option('scale', { type: 'number', default: 1, describe: 'device pixels per CSS pixel' })
  .strict()
  .parse();

const bridge = args.url
  ? undefined
  : await startBridge({
      testPatterns: [1, 2, 3].map((n) => ({ id: `test-${n}`, width: 1280, height: 720, fps: 30 })),
    });
const url = new URL(args.url ?? bridge?.url ?? '');
if (args.token) url.searchParams.set('token', args.token);
await mkdir(args.out, { recursive: true });

for (const dark of [false, true]) {
  const chromium = await startChromium({
    width: args.width,
    height: args.height,
    scale: args.scale,
    dark,
  });
  const save = async (viewer: ViewerPage, name: string) => {
    const path = join(args.out, `${name}-${dark ? 'dark' : 'light'}.png`);
    await viewer.page.screenshot({ path });
    process.stdout.write(`${path}\n`);
  };
  const grid = await ViewerPage.open(chromium.context, url.href, '', { hash: '#/' });
  const ids = await until('a live tile', async () => {
    const live = await grid.evaluate<string[]>(
      `[...document.querySelectorAll('.tile[data-state="live"]')].map((tile) => tile.dataset.session)`,
    );
    return live.length > 0 && live;
  });
  await delay(2_000);
  await save(grid, 'viewer-grid');
  await grid.close();

  const full = await ViewerPage.open(chromium.context, url.href, args.session ?? ids[0] ?? '');
  await full.picture(5);
  await delay(1_000);
  await save(full, 'viewer-session');
  await full.page.keyboard.press('s');
  await delay(STATS_WINDOW);
  await save(full, 'viewer-statistics');
  await chromium.close();
}
await bridge?.close();
