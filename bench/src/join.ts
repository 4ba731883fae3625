// How long a viewer that joins a still desktop waits for its first picture, in Chromium.

import { startCapturedSession } from '@scanbridge/test/harness/captured-session';
import { startPaintedDesktop } from '@scanbridge/test/harness/painted-desktop';
import { Probe } from '@scanbridge/test/probe';
import type { Benchmark } from './bench.js';
import { percentile, rounded } from './statistics.js';

export const benchmark: Benchmark = {
  about: 'a new viewer of a still 720p desktop: connecting until the first picture is decoded',
  async run({ quick, progress }) {
    const joins = quick ? 20 : 200;
    const desktop = await startPaintedDesktop(1280, 720, 60, ['--still']);
    const probe = await Probe.launch();
    const times: number[] = [];
    try {
      const session = await startCapturedSession(desktop, probe.origin);
      try {
        // The first one also pays for the browser's decoder to be loaded.
        await probe.join(session.url);
        for (let i = 0; i < joins; i++) {
          if (i % 20 === 0) progress(`${i} of ${joins} joins`);
          // Past the time after which an encoder without viewers sleeps, every now and then.
          await new Promise((resolve) => setTimeout(resolve, i % 10 === 0 ? 2500 : 50));
          times.push(await probe.join(session.url));
        }
      } finally {
        await session.close();
      }
    } finally {
      await probe.close();
      await desktop.close();
    }
    return [
      {
        case: 'still-desktop',
        metrics: {
          join_ms_p50: rounded(percentile(times, 0.5)),
          join_ms_p95: rounded(percentile(times, 0.95)),
          joins,
        },
      },
    ];
  },
};
