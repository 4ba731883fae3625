// Messages that travel once per frame: an array of numbers instead of a map with keys, so that they stay within
// MAX_FRAME_MESSAGE bytes. docs/protocols/agent.md describes the form; agent.ts checks the fields.
import type { FromAgent, ToAgent } from './agent.js';

/** First item of the array. Numbers are of one sender: 1 is a frame from an agent and a release from a bridge. */
const FRAME = 1;
const RELEASE = 1;

/** msgpackr writes a number above 2^32 as a float; a bigint stays an integer of the same 9 bytes. */
const integer = (value: number): number | bigint => (value > 0xffffffff ? BigInt(value) : value);

/** The array for a message that has the compact form; undefined for any other. */
export function toCompact(message: FromAgent | ToAgent): (number | bigint)[] | undefined {
  if (message.type === 'release') return [RELEASE, message.stream, integer(message.sequence)];
  if (message.type !== 'frame') return undefined;
  const { stream, sequence, resource, pts, damage } = message;
  const items = [FRAME, stream, integer(sequence), resource, integer(pts)];
  if (damage) items.push(damage.x, damage.y, damage.width, damage.height);
  return items;
}

/** The unchecked message that an array stands for; undefined when there is none with that number and count. */
export function expandCompact(
  sender: 'agent' | 'bridge',
  items: readonly unknown[],
): Record<string, unknown> | undefined {
  if (sender === 'bridge') {
    const [kind, stream, sequence] = items;
    return kind === RELEASE && items.length === 3
      ? { type: 'release', stream, sequence }
      : undefined;
  }
  const [kind, stream, sequence, resource, pts, x, y, width, height] = items;
  if (kind !== FRAME || (items.length !== 5 && items.length !== 9)) return undefined;
  const frame = { type: 'frame', stream, sequence, resource, pts };
  return items.length === 5 ? frame : { ...frame, damage: { x, y, width, height } };
}
