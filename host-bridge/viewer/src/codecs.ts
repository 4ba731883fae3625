// Which codecs this browser decodes: asked once, answered in the words of `hello`.

/** A typical stream of each codec (RFC 6381): 1080p60, 8 bit, 4:2:0. */
const TYPICAL: Readonly<Record<string, string>> = {
  avc1: 'avc1.42E02A',
  hvc1: 'hvc1.1.6.L123.B0',
  av01: 'av01.0.09M.08',
  vp09: 'vp09.00.41.08',
};

/** RFC 6381 prefixes that VideoDecoder accepts. */
export async function decodableCodecs(): Promise<string[]> {
  const answers = await Promise.all(
    Object.entries(TYPICAL).map(async ([prefix, codec]) => {
      try {
        const { supported } = await VideoDecoder.isConfigSupported({ codec });
        return supported ? prefix : undefined;
      } catch {
        return undefined;
      }
    }),
  );
  const codecs = answers.filter((prefix) => prefix !== undefined);
  // A browser that denies everything may still decode: the bridge gets something to say no to.
  return codecs.length > 0 ? codecs : ['avc1'];
}
