// Cursor shapes: what the surface protocol carries, as the viewer protocol wants it.

/**
 * Premultiplied B G R A (DRM AR24) to straight R G B A in base64.
 * @param pixels width * height * 4 bytes
 */
export function cursorRgba(pixels: Uint8Array): string {
  const out = Buffer.allocUnsafe(pixels.length - (pixels.length % 4));
  for (let i = 0; i < out.length; i += 4) {
    const alpha = pixels[i + 3] as number;
    // A hostile source may claim more colour than alpha: it is cut, as a compositor would.
    const straight = (value: number) =>
      alpha === 0 ? 0 : Math.min(255, Math.round((value * 255) / alpha));
    out[i] = straight(pixels[i + 2] as number);
    out[i + 1] = straight(pixels[i + 1] as number);
    out[i + 2] = straight(pixels[i] as number);
    out[i + 3] = alpha;
  }
  return out.toString('base64');
}
