import type { Batch } from './batches.ts';

/** Targets of a part beyond its share of the batch's are filled up to a multiple of this share: few shapes are compiled. */
const TARGET_STEP = 1 / 16;

/**
 * Cuts a batch into parts of about as many rows and targets each, to be computed side by side. Weights stay those of the
 * whole: losses and gradients of the parts add up to the batch's. A batch of fewer rows than parts is left whole.
 */
export function partsOf(batch: Batch, count: number): Batch[] {
  const { rows, length, positions, targetCount, single } = batch;
  if (count === 1 || rows < count) return [batch];
  // Targets lie in the order of rows, from first[row] up to first[row + 1]; those that only fill a grouped batch have none.
  const first = new Int32Array(rows + 1);
  const listed = single ? rows : targetCount;
  for (let t = 0; t < listed; t++) first[Math.floor(positions[t] / length) + 1]++;
  for (let row = 0; row < rows; row++) first[row + 1] += first[row];
  return (single ? cut(rows, count) : deal(first, count)).map((members) => {
    const size = members.reduce((sum, row) => sum + first[row + 1] - first[row], 0);
    return partOf(batch, members, first, single ? members.length : sizeOf(size, batch, count));
  });
}

/** Rows of one target each, one after the other. */
function cut(rows: number, count: number): number[][] {
  const borders = Array.from({ length: count + 1 }, (_, i) => Math.round((rows * i) / count));
  return borders.slice(1).map((to, i) => Array.from({ length: to - borders[i] }, (_, r) => borders[i] + r));
}

/** Those of most targets first, there and back again: targets come out even, so that parts have the same shape every time. */
function deal(first: Int32Array, count: number): number[][] {
  const targets = (row: number) => first[row + 1] - first[row];
  const order = Array.from({ length: first.length - 1 }, (_, row) => row);
  order.sort((a, b) => targets(b) - targets(a));
  const parts: number[][] = Array.from({ length: count }, () => []);
  order.forEach((row, i) => {
    const place = i % (2 * count);
    parts[Math.min(place, 2 * count - 1 - place)].push(row);
  });
  return parts.map((rows) => rows.sort((a, b) => a - b));
}

/** How many targets a part is filled up to. */
function sizeOf(targets: number, { target }: Batch, count: number): number {
  const share = Math.ceil(target.length / count);
  const step = Math.max(1, Math.ceil(target.length * TARGET_STEP));
  return share + Math.max(0, Math.ceil((targets - share) / step)) * step;
}

function partOf(batch: Batch, members: number[], first: Int32Array, size: number): Batch {
  const { length, targetCount } = batch;
  const part: Batch = {
    ...batch,
    rows: members.length,
    history: new Int32Array(members.length * length),
    lengths: new Int32Array(members.length),
    positions: new Int32Array(size),
    target: new Int32Array(size),
    weight: new Float32Array(size),
    targetCount: 0,
  };
  let filled = 0;
  members.forEach((row, to) => {
    part.history.set(batch.history.subarray(row * length, (row + 1) * length), to * length);
    part.lengths[to] = batch.lengths[row];
    for (let t = first[row]; t < first[row + 1]; t++, filled++) {
      part.positions[filled] = batch.positions[t] + (to - row) * length;
      part.target[filled] = batch.target[t];
      part.weight[filled] = batch.weight[t];
      if (t < targetCount) part.targetCount++;
    }
  });
  return part;
}
