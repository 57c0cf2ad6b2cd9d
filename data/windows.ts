import type { Rows } from './dataset.ts';

/**
 * Stretches of history that a model passes over once. Window w covers `pool[start[w] .. start[w] + length[w])`; its
 * targets are those from `first[w]` up to `first[w + 1]`: `target` follows the item at `position` (from the window's start).
 */
export interface Windows {
  count: number;
  start: Int32Array;
  length: Int32Array;
  /** [count + 1] */
  first: Int32Array;
  position: Int32Array;
  target: Int32Array;
  /** True where every window has one target, after its last item. */
  single: boolean;
}

/** `rows`: one window a row. `grouped`: rows whose histories are prefixes of one another share a window. */
export type WindowMode = 'auto' | 'rows' | 'grouped';

/**
 * The share of a window's positions that a row alone costs, beside a window of all positions: the last transformer block
 * computes one position only.
 */
export const SINGLE_TARGET_COST = 0.6;

/**
 * Cuts training rows into windows of at most `maxHistory` items. Models are causal, so the vector after position i of a
 * window is that of the history up to i: both modes give the same (history, target) pairs and the same loss.
 * 'auto' takes the mode that passes over fewer positions.
 */
export function planWindows(rows: Rows, maxHistory: number, mode: WindowMode): Windows {
  if (mode !== 'auto') return build(rows, maxHistory, mode === 'grouped');
  const grouped = build(rows, maxHistory, true);
  const positions = (lengths: Int32Array) => lengths.reduce((a, b) => a + b, 0);
  const alone = positions(rows.end.map((end, i) => Math.min(maxHistory, end - rows.start[i])));
  return positions(grouped.length) <= SINGLE_TARGET_COST * alone ? grouped : build(rows, maxHistory, false);
}

function build(rows: Rows, maxHistory: number, grouped: boolean): Windows {
  const count = rows.target.length;
  const from = rows.end.map((end, i) => Math.max(rows.start[i], end - maxHistory));
  const order = Int32Array.from({ length: count }, (_, i) => i);
  // Rows of one window side by side, shortest history first; the sort is stable.
  if (grouped) order.sort((a, b) => from[a] - from[b] || rows.end[a] - rows.end[b]);
  const start: number[] = [];
  const length: number[] = [];
  const first: number[] = [];
  const position = new Int32Array(count);
  const target = new Int32Array(count);
  order.forEach((row, i) => {
    const size = rows.end[row] - from[row];
    if (grouped && i > 0 && from[row] === start.at(-1)) length[length.length - 1] = size;
    else {
      start.push(from[row]);
      length.push(size);
      first.push(i);
    }
    position[i] = size - 1;
    target[i] = rows.target[row];
  });
  return {
    count: start.length,
    start: Int32Array.from(start),
    length: Int32Array.from(length),
    first: Int32Array.from([...first, count]),
    position,
    target,
    single: start.length === count,
  };
}
