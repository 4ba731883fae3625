import { parseToViewer } from '@scanbridge/protocol/viewer';
import test from 'ava';
import { SessionCursor } from '../src/session-cursor.js';
import { cursorRgba } from '../src/worker/cursor.js';

const position = (x: number) => ({ type: 'cursor' as const, visible: true, x, y: 2 });
const shape = { hotX: 1, hotY: 1, width: 1, height: 1, rgba: 'AAAAAA==' };

test('who joins later gets the shape with the last position', (t) => {
  const cursor = new SessionCursor();
  t.is(cursor.texts, undefined);
  cursor.take({ ...position(1), shape });
  const first = cursor.texts?.shapeVersion;
  cursor.take(position(9));
  t.is(cursor.texts?.shapeVersion, first, 'the shape is the same');
  t.deepEqual(parseToViewer(cursor.texts?.full ?? ''), { ...position(9), shape });
  t.deepEqual(parseToViewer(cursor.texts?.position ?? ''), position(9));
});

test('after a restart the old shape is not shown', (t) => {
  const cursor = new SessionCursor();
  cursor.take({ ...position(1), shape });
  const old = cursor.texts?.shapeVersion;
  cursor.forget();
  t.is(cursor.texts, undefined);
  cursor.take(position(3));
  t.not(cursor.texts?.shapeVersion, old);
  t.deepEqual(parseToViewer(cursor.texts?.full ?? ''), position(3));
});

test('premultiplied B G R A becomes straight R G B A', (t) => {
  const pixels = [0, 0, 255, 255, 64, 0, 0, 128, 200, 0, 0, 100, 7, 7, 7, 0];
  const rgba = [...Buffer.from(cursorRgba(new Uint8Array(pixels)), 'base64')];
  t.deepEqual(rgba, [255, 0, 0, 255, 0, 0, 128, 128, 0, 0, 255, 100, 0, 0, 0, 0]);
});
