// Bundles the viewer page into dist/: plain files that any server can serve under a strict Content-Security-Policy
// (no inline scripts or styles, nothing from elsewhere). Needs @scanbridge/protocol to be compiled.
import { cp, mkdir, rm } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const here = (path) => fileURLToPath(new URL(path, import.meta.url));

await rm(here('dist'), { recursive: true, force: true });
await mkdir(here('dist'), { recursive: true });
await build({
  entryPoints: [
    { in: here('src/main.ts'), out: 'viewer' },
    { in: here('style/viewer.css'), out: 'viewer' },
  ],
  outdir: here('dist'),
  bundle: true,
  external: ['./icon.svg'],
  format: 'esm',
  // Every browser with WebCodecs knows ES2022; older ones get as far as being told what they lack.
  target: ['es2022'],
  minify: true,
  sourcemap: 'linked',
  legalComments: 'none',
  logLevel: 'warning',
});
for (const file of ['index.html', 'icon.svg']) await cp(here(file), here(`dist/${file}`));
