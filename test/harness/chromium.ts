// Chromium for the tests of the viewer page: headless, without a GPU, with a profile of its own that is removed.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type BrowserContext, chromium } from 'playwright-core';

const FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

/** How the browser presents itself to the page. */
export interface ChromiumOptions {
  readonly width?: number;
  readonly height?: number;
  readonly dark?: boolean;
  readonly touch?: boolean;
  /** Device pixels per CSS pixel. */
  readonly scale?: number;
  /** Names that lead to this machine although they are not loopback names. */
  readonly names?: readonly string[];
}

export interface Chromium {
  readonly context: BrowserContext;
  close(): Promise<void>;
}

/** Starts a browser; CHROMIUM names another binary than the system's. */
export async function startChromium(options: ChromiumOptions = {}): Promise<Chromium> {
  const profile = await mkdtemp(join(tmpdir(), 'scanbridge-viewer-'));
  const remove = () => rm(profile, { recursive: true, force: true, maxRetries: 5 });
  try {
    const rules = (options.names ?? []).map((name) => `MAP ${name} 127.0.0.1`).join(', ');
    const context = await chromium.launchPersistentContext(profile, {
      executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
      headless: true,
      viewport: { width: options.width ?? 1000, height: options.height ?? 700 },
      deviceScaleFactor: options.scale ?? 1,
      colorScheme: options.dark ? 'dark' : 'light',
      hasTouch: options.touch ?? false,
      args: rules ? [...FLAGS, `--host-resolver-rules=${rules}`] : FLAGS,
    });
    return {
      context,
      close: async () => {
        await context.close();
        await remove();
      },
    };
  } catch (error) {
    await remove();
    throw error;
  }
}
