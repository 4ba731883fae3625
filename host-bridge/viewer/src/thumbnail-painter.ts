// Takes turns among many small pictures, so that drawing them leaves the main thread free for what arrives.
// Queue: the screens that have a picture to draw, each once, first come first served; a screen keeps its newest picture
// only. In each display interval pictures are drawn until BUDGET is spent; the rest waits for the next.

/** Time for drawing in a display interval of some 16 ms [ms]. */
const BUDGET = 5;

const waiting = new Set<() => void>();
let request: number | undefined;

function schedule(): void {
  if (request === undefined) request = requestAnimationFrame(paint);
}

function paint(): void {
  request = undefined;
  const start = performance.now();
  for (const draw of waiting) {
    waiting.delete(draw);
    draw();
    if (performance.now() - start > BUDGET) break;
  }
  if (waiting.size > 0) schedule();
}

/** Calls `draw` once, in its turn. */
export function takeTurn(draw: () => void): void {
  waiting.add(draw);
  schedule();
}

/** Gives the turn up. */
export function leaveTurn(draw: () => void): void {
  waiting.delete(draw);
}
