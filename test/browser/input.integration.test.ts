// What a person does in the page arrives at the session, in the desktop's own terms; what the desktop's cursor does is
// seen in the page.
import { type Bridge, createLog, DEFAULT_BOUNDS, Session, startBridge } from '@scanbridge/bridge';
import type { InputEvent, ToViewer } from '@scanbridge/protocol/viewer';
import anyTest, { type ExecutionContext, type TestFn } from 'ava';
import { type Chromium, startChromium } from '../harness/chromium.js';
import { until, ViewerPage } from './viewer-page.js';

const WIDTH = 640;
const HEIGHT = 360;
const TOKEN = 'a-token-that-may-only-look';

interface Desk {
  readonly bridge: Bridge;
  readonly session: Session;
  readonly viewer: ViewerPage;
  readonly events: InputEvent[];
  readonly sizes: { width: number; height: number }[];
}

const test = anyTest as TestFn<{ chromium: Chromium }>;

test.before(async (t) => {
  t.context.chromium = await startChromium({ touch: true });
});

test.after.always(async (t) => {
  await t.context.chromium?.close();
});

/** A bridge with a session that writes down what it is told, and the page that shows it. */
async function openDesk(
  t: ExecutionContext<{ chromium: Chromium }>,
  access: 'view' | 'control' = 'control',
): Promise<Desk> {
  const bridge = await startBridge({ tokens: [{ secret: TOKEN, access }] });
  t.teardown(() => bridge.close());
  const events: InputEvent[] = [];
  const sizes: Desk['sizes'] = [];
  const session = new Session({
    id: 'desk',
    title: 'A desk',
    source: { kind: 'test-pattern', width: WIDTH, height: HEIGHT, fps: 10 },
    control: {
      input: (some) => events.push(...some),
      resize: (width, height) => sizes.push({ width, height }),
    },
    engine: { engine: 'auto', bitrateKbps: 2000, maxFps: 60, keepaliveMs: 1000 },
    bitrate: DEFAULT_BOUNDS,
    log: createLog('silent'),
  });
  bridge.sessions.add(session);
  const viewer = await ViewerPage.open(t.context.chromium.context, bridge.url, 'desk', {
    hash: `#/s/desk?token=${TOKEN}`,
  });
  t.teardown(() => viewer.close());
  await viewer.picture();
  return { bridge, session, viewer, events, sizes };
}

/** The place of a pixel of the picture on the page [CSS pixels]. */
async function place(viewer: ViewerPage, x: number, y: number): Promise<[number, number]> {
  const box = await viewer.page.locator('canvas.picture').boundingBox();
  if (!box) throw new Error('no canvas');
  return [box.x + ((x + 0.5) * box.width) / WIDTH, box.y + ((y + 0.5) * box.height) / HEIGHT];
}

const keysOf = (events: readonly InputEvent[]) =>
  events.flatMap((event) => (event.kind === 'key' ? [[event.code, event.pressed] as const] : []));

test.serial(
  'keys arrive as evdev codes once the picture was clicked, and not before',
  async (t) => {
    const { viewer, events } = await openDesk(t);
    const { keyboard, mouse } = viewer.page;
    await keyboard.press('a');
    t.deepEqual(events, []);

    await mouse.click(...(await place(viewer, 100, 100)));
    t.is(await viewer.page.locator('.button.keyboard').getAttribute('aria-pressed'), 'true');
    // Name, code in linux/input-event-codes.h.
    const keys: [string, number][] = [
      ['KeyA', 30],
      ['KeyQ', 16],
      ['KeyZ', 44],
      ['Digit1', 2],
      ['Digit0', 11],
      ['Enter', 28],
      ['Space', 57],
      ['Escape', 1],
      ['Tab', 15],
      ['Backspace', 14],
      ['ArrowUp', 103],
      ['ArrowLeft', 105],
      ['Home', 102],
      ['Delete', 111],
      ['F1', 59],
      ['F5', 63],
      ['F11', 87],
      ['F12', 88],
      ['Numpad5', 76],
      ['NumpadEnter', 96],
      ['AltRight', 100],
      ['MetaLeft', 125],
      ['BracketLeft', 26],
      ['Slash', 53],
    ];
    for (const [name] of keys) await keyboard.press(name);
    const wanted = keys.flatMap(([, code]) => [
      [code, true],
      [code, false],
    ]);
    await until('all keys', () => keysOf(events).length >= wanted.length);
    t.deepEqual(keysOf(events), wanted as never);
    t.deepEqual(viewer.complaints, []);
  },
);

test.serial(
  'a held key is released when the page loses the focus, and the chord lets go',
  async (t) => {
    const { viewer, events } = await openDesk(t);
    const { keyboard, mouse } = viewer.page;
    await mouse.click(...(await place(viewer, 10, 10)));
    await keyboard.down('KeyW');
    await until('pressed', () => keysOf(events).length === 1);
    await viewer.evaluate(`window.dispatchEvent(new Event('blur'))`);
    await until('released', () => keysOf(events).length === 2);
    t.deepEqual(keysOf(events), [
      [17, true],
      [17, false],
    ]);
    await keyboard.up('KeyW');

    const taken = () => viewer.page.locator('.button.keyboard').getAttribute('aria-pressed');
    t.is(await taken(), 'true');
    for (const key of ['ControlLeft', 'AltLeft', 'ShiftLeft']) await keyboard.down(key);
    for (const key of ['ShiftLeft', 'AltLeft', 'ControlLeft']) await keyboard.up(key);
    t.is(await taken(), 'false');
    // Nothing stays pressed on the desktop.
    await until('modifiers released', () => {
      const down = new Set<number>();
      for (const [code, pressed] of keysOf(events)) {
        if (pressed) down.add(code);
        else down.delete(code);
      }
      return down.size === 0 && keysOf(events).length >= 8;
    });
    await keyboard.press('k');
    t.is(await taken(), 'true');
  },
);

test.serial(
  'the mouse arrives in pixels of the picture, with buttons and steps of the wheel',
  async (t) => {
    const { viewer, events } = await openDesk(t);
    const { mouse } = viewer.page;
    // Bars beside the picture, then above and below it.
    for (const height of [400, 700]) {
      await viewer.page.setViewportSize({ width: 1000, height });
      await viewer.picture(2);
      events.length = 0;
      await mouse.move(...(await place(viewer, 320, 180)));
      const motion = await until('a motion', () => events.find((event) => event.kind === 'motion'));
      t.true(
        motion.kind === 'motion' &&
          Math.abs(motion.x - 320.5) < 1 &&
          Math.abs(motion.y - 180.5) < 1,
        JSON.stringify(motion),
      );
    }

    events.length = 0;
    await mouse.move(...(await place(viewer, 600, 20)));
    for (const button of ['left', 'right', 'middle'] as const) {
      await mouse.down({ button });
      await mouse.up({ button });
    }
    const buttons = () =>
      events.flatMap((event) => (event.kind === 'button' ? [[event.code, event.pressed]] : []));
    await until('buttons', () => buttons().length === 6);
    t.deepEqual(buttons(), [
      [0x110, true],
      [0x110, false],
      [0x111, true],
      [0x111, false],
      [0x112, true],
      [0x112, false],
    ]);
    const before = events
      .slice(
        0,
        events.findIndex((event) => event.kind === 'button'),
      )
      .at(-1);
    t.is(before?.kind, 'motion', 'a press comes after its place');
    t.true(before?.kind === 'motion' && Math.abs(before.x - 600.5) < 1);

    await mouse.wheel(0, 120);
    const axis = await until('the wheel', () => events.find((event) => event.kind === 'axis'));
    t.deepEqual(axis, { kind: 'axis', dx: 0, dy: 120, discrete: true });

    // Held beyond the picture: positions stay inside, and the release arrives.
    events.length = 0;
    await mouse.down();
    await mouse.move(990, 690);
    await mouse.up();
    await until('released outside', () => buttons().length === 2);
    for (const event of events) {
      if (event.kind !== 'motion') continue;
      t.true(event.x >= 0 && event.x < WIDTH && event.y >= 0 && event.y < HEIGHT);
    }
    t.deepEqual(viewer.complaints, []);
  },
);

test.serial('touches arrive in slots', async (t) => {
  const { viewer, events } = await openDesk(t);
  const [x, y] = await place(viewer, 200, 100);
  const cdp = await viewer.page.context().newCDPSession(viewer.page);
  const touch = (type: 'touchStart' | 'touchMove' | 'touchEnd', points: [number, number][]) =>
    cdp.send('Input.dispatchTouchEvent', {
      type,
      touchPoints: points.map(([px, py], id) => ({ x: px, y: py, id })),
    });
  await touch('touchStart', [[x, y]]);
  await touch('touchStart', [
    [x, y],
    [x + 50, y],
  ]);
  await touch('touchMove', [
    [x, y + 30],
    [x + 50, y],
  ]);
  await touch('touchEnd', []);
  const touches = () =>
    events.flatMap((event) => (event.kind === 'touch' ? [`${event.phase} ${event.slot}`] : []));
  await until('both up', () => touches().filter((text) => text.startsWith('up')).length === 2);
  t.deepEqual(touches().slice(0, 3), ['down 0', 'down 1', 'motion 0']);
  t.deepEqual(touches().slice(-2).sort(), ['up 0', 'up 1']);
});

test.serial('a viewer who may only look sends nothing and is told so', async (t) => {
  const { viewer, events, sizes } = await openDesk(t, 'view');
  t.true(await viewer.page.getByText('View only').isVisible());
  t.false(await viewer.page.locator('.button.keyboard').isVisible());
  await viewer.page.mouse.click(...(await place(viewer, 100, 100)));
  await viewer.page.keyboard.press('a');
  await viewer.page.setViewportSize({ width: 900, height: 640 });
  const stats = await viewer.picture(10);
  t.deepEqual(events, []);
  t.deepEqual(sizes, []);
  t.is(stats.connects, 1, 'the bridge had no reason to close');
  await viewer.page.setViewportSize({ width: 1000, height: 700 });
});

test.serial('the desktop is asked to follow the window, once it has come to rest', async (t) => {
  const { viewer, sizes } = await openDesk(t);
  const stage = async () => {
    const box = await viewer.page.locator('.stage').boundingBox();
    return { width: Math.round(box?.width ?? 0), height: Math.round(box?.height ?? 0) };
  };
  await until('the first size', () => sizes.length > 0);
  t.deepEqual(sizes.at(-1), await stage());
  const before = sizes.length;
  for (let width = 820; width <= 860; width += 10) {
    await viewer.page.setViewportSize({ width, height: 600 });
  }
  await until('the new size', () => sizes.at(-1)?.width === 860);
  t.deepEqual(sizes.at(-1), await stage());
  t.true(sizes.length - before <= 3, `${sizes.length - before} wishes for five steps`);
});

test.serial('the cursor is drawn where the desktop has it, in the shape that it has', async (t) => {
  const { viewer, session } = await openDesk(t);
  const size = 16;
  const rgba = Buffer.alloc(size * size * 4);
  for (let i = 0; i < size * size; i++) rgba.set([200, 30, 60, 255], i * 4);
  const cursor: ToViewer = {
    type: 'cursor',
    visible: true,
    x: 300,
    y: 200,
    shape: { hotX: 4, hotY: 6, width: size, height: size, rgba: rgba.toString('base64') },
  };
  const tell = (message: ToViewer) => {
    for (const connection of session.viewers) connection.text(JSON.stringify(message));
  };
  tell(cursor);
  const drawn = () => viewer.evaluate<object | undefined>(`scanbridge.cursor('desk')`);
  t.deepEqual(await until('a cursor', drawn), { x: 296, y: 194, width: size, height: size });

  const box = await viewer.page.locator('canvas.cursor').boundingBox();
  const [left, top] = await place(viewer, 296, 194);
  const picture = await viewer.page.locator('canvas.picture').boundingBox();
  const scale = (picture?.width ?? 0) / WIDTH;
  t.true(Math.abs((box?.x ?? 0) - (left - scale / 2)) < 1, 'left edge');
  t.true(Math.abs((box?.y ?? 0) - (top - scale / 2)) < 1, 'upper edge');
  t.true(Math.abs((box?.width ?? 0) - size * scale) < 1, 'scaled like the picture');
  t.deepEqual(
    await viewer.evaluate(
      `[...document.querySelector('canvas.cursor').getContext('2d').getImageData(8, 8, 1, 1).data]`,
    ),
    [200, 30, 60, 255],
  );

  tell({ type: 'cursor', visible: true, x: 10, y: 20 });
  await until(
    'it has moved',
    async () => (await viewer.evaluate(`scanbridge.cursor('desk')?.x`)) === 6,
  );
  tell({ type: 'cursor', visible: false, x: 10, y: 20 });
  await until('it is hidden', async () => (await drawn()) === undefined);

  // Over the picture the browser's own cursor takes the shape.
  tell(cursor);
  await until('shown again', drawn);
  await viewer.page.mouse.move(...(await place(viewer, 50, 50)));
  await until('the browser draws it', async () => (await drawn()) === undefined);
  const css = await viewer.evaluate<string>(
    `document.querySelector('canvas.picture').style.cursor`,
  );
  t.regex(css, /^image-set\(url\("?data:image\/png/);
  t.deepEqual(viewer.complaints, []);
});
