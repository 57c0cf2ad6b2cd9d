import type { Batch } from './batches.ts';

/** Targets of a part are filled up to a multiple of this share of the batch's: few shapes are compiled. */
const TARGET_STEP = 1 / 16;

/**
 * Cuts a batch into parts of about as many rows each, to be computed side by side. Weights stay those of the whole: losses
 * and gradients of the parts add up to the batch's.
 */
export function partsOf(batch: Batch, count: number): Batch[] {
  const { rows, length, positions, targetCount, target } = batch;
  const step = Math.max(1, Math.ceil(target.length * TARGET_STEP));
  const borders = Array.from({ length: count + 1 }, (_, i) => Math.round((rows * i) / count));
  return borders.slice(1).map((to, i) => {
    const from = borders[i];
    // Targets lie in the order of rows; those that only fill a grouped batch lie at the end and are left out.
    const listed = batch.single ? rows : targetCount;
    const inside = (t: number) => positions[t] >= from * length && positions[t] < to * length;
    let first = 0;
    while (first < listed && !inside(first)) first++;
    let end = first;
    while (end < listed && inside(end)) end++;
    const size = batch.single ? to - from : Math.max(step, Math.ceil((end - first) / step) * step);
    const part: Batch = {
      ...batch,
      rows: to - from,
      history: batch.history.subarray(from * length, to * length),
      lengths: batch.lengths.subarray(from, to),
      positions: new Int32Array(size),
      target: new Int32Array(size),
      weight: new Float32Array(size),
      targetCount: Math.max(0, Math.min(end, targetCount) - first),
    };
    part.positions.set(positions.subarray(first, end).map((p) => p - from * length));
    part.target.set(target.subarray(first, end));
    part.weight.set(batch.weight.subarray(first, end));
    return part;
  });
}
