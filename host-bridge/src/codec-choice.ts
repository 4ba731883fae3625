// Which codec a session has, so that every viewer can decode it: one encode serves them all.
import { CODEC_PREFIX, type Codec } from './worker/messages.js';

/** What a viewer said in its hello: RFC 6381 prefixes. */
export type Decodable = readonly string[];

const decodes = (viewer: Decodable, codec: Codec): boolean =>
  viewer.some((prefix) => prefix.startsWith(CODEC_PREFIX[codec]));

/**
 * The wanted codec while all viewers decode it, else H.264.
 * @param broken codecs for which no engine works
 */
export function chooseCodec(
  wanted: Codec,
  viewers: readonly Decodable[],
  broken: ReadonlySet<Codec> = new Set(),
): Codec {
  const fits = !broken.has(wanted) && viewers.every((viewer) => decodes(viewer, wanted));
  return fits ? wanted : 'h264';
}

/** Whether a viewer may come in: it must decode what it would get, and with it what the others get. */
export function mayJoin(
  wanted: Codec,
  viewers: readonly Decodable[],
  viewer: Decodable,
  broken: ReadonlySet<Codec> = new Set(),
): boolean {
  const codec = chooseCodec(wanted, [...viewers, viewer], broken);
  return [...viewers, viewer].every((each) => decodes(each, codec));
}
