import { seeded } from '../common/random.ts';
import type { Windows } from './windows.ts';

/** One batch of fixed shape. Rows and targets beyond the counted ones only fill it: their weight is 0. */
export interface Batch {
  rows: number;
  length: number;
  /** [rows * length] item ids, each row filled up with 0 after its history. */
  history: Int32Array;
  /** [rows] items in each row, at least 1. */
  lengths: Int32Array;
  /** Flat position (row x length + position) of every target's history end: [rows] for single windows, else [targets]. */
  positions: Int32Array;
  target: Int32Array;
  /** 1 / targetCount for real targets, 0 for filling. */
  weight: Float32Array;
  /** True where there is one target a row, after its last item. */
  single: boolean;
  targetCount: number;
}

/** Windows of similar length, which share one batch shape. */
interface Bucket {
  length: number;
  windows: Int32Array;
  batches: number;
  /** Rows and targets of a batch. */
  rows: number;
  targets: number;
}

/**
 * Deals windows out in batches of `batchSize` targets. Windows are bucketed by length, so that few positions are padding
 * and few shapes are compiled; a bucket's batches are of equal size rather than full ones and a rest, so none is wasted.
 */
export class Batches {
  readonly #pool: Int32Array;
  readonly #windows: Windows;
  readonly #buckets: Bucket[];

  constructor(pool: Int32Array, windows: Windows, batchSize: number) {
    this.#pool = pool;
    this.#windows = windows;
    this.#buckets = bucketByLength(windows, batchSize);
  }

  /** The shapes in use, for reports: [rows, length, targets] and how many batches an epoch has of each. */
  get shapes(): { rows: number; length: number; targets: number; batches: number }[] {
    return this.#buckets.map(({ rows, length, targets, batches }) => ({ rows, length, targets, batches }));
  }

  /** Estimated batches of an epoch. */
  get count(): number {
    return this.#buckets.reduce((n, b) => n + b.batches, 0);
  }

  /**
   * The composition of an epoch's batches: lists of windows, in the order of training. It depends on (seed, epoch) alone,
   * so an interrupted epoch is taken up at any batch.
   */
  epoch(seed: number, epoch: number): EpochPlan {
    const random = seeded(seed, 'batches', epoch);
    const plan = this.#buckets.flatMap((bucket) => {
      const order = random.shuffle(bucket.windows.slice());
      return this.#deal(bucket, order).map((windows) => ({ bucket, windows }));
    });
    random.shuffle(plan);
    return { count: plan.length, batch: (i) => this.#fill(plan[i].bucket, plan[i].windows) };
  }

  #deal({ rows, targets }: Bucket, order: Int32Array): Int32Array[] {
    const { first } = this.#windows;
    const dealt: Int32Array[] = [];
    let begin = 0;
    let filled = 0;
    order.forEach((window, i) => {
      const size = first[window + 1] - first[window];
      if (i - begin === rows || filled + size > targets) {
        dealt.push(order.subarray(begin, i));
        begin = i;
        filled = 0;
      }
      filled += size;
    });
    dealt.push(order.subarray(begin));
    return dealt;
  }

  #fill({ rows, length, targets }: Bucket, windows: Int32Array): Batch {
    const { start, length: sizes, first, position, target, single } = this.#windows;
    const batch: Batch = {
      rows,
      length,
      history: new Int32Array(rows * length),
      lengths: new Int32Array(rows).fill(1),
      positions: new Int32Array(targets),
      target: new Int32Array(targets),
      weight: new Float32Array(targets),
      single,
      targetCount: 0,
    };
    // Filling rows of a single-target batch read their own first position.
    if (single) for (let row = 0; row < rows; row++) batch.positions[row] = row * length;
    windows.forEach((window, row) => {
      batch.lengths[row] = sizes[window];
      batch.history.set(this.#pool.subarray(start[window], start[window] + sizes[window]), row * length);
      for (let i = first[window]; i < first[window + 1]; i++) {
        batch.positions[batch.targetCount] = row * length + position[i];
        batch.target[batch.targetCount++] = target[i];
      }
    });
    batch.weight.fill(1 / batch.targetCount, 0, batch.targetCount);
    return batch;
  }
}

export interface EpochPlan {
  count: number;
  /** Makes batch `i` of the epoch. */
  batch(i: number): Batch;
}

/** A bucket more must save at least this share of the positions: every shape is compiled, and holds memory of its own. */
const BUCKET_COST = 0.05;

/**
 * Cuts the lengths of windows into ranges, each padded to its longest: the ranges that pass over the fewest positions,
 * found by dynamic programming over the lengths. A range has at least a batch of targets, so that no batch is mostly
 * filling.
 * @returns the upper length of every range, ascending
 */
function lengthLimits(windows: Windows, batchSize: number): number[] {
  const longest = windows.length.reduce((a, b) => Math.max(a, b), 1);
  // Prefix sums over lengths: windows and targets of at most that length.
  const count = new Float64Array(longest + 1);
  const targets = new Float64Array(longest + 1);
  let positions = 0;
  windows.length.forEach((length, w) => {
    count[length]++;
    targets[length] += windows.first[w + 1] - windows.first[w];
    positions += length;
  });
  for (let n = 1; n <= longest; n++) {
    count[n] += count[n - 1];
    targets[n] += targets[n - 1];
  }
  // cost[n]: least cost of the windows of at most n items; from[n]: where its last range begins.
  const cost = new Float64Array(longest + 1).fill(Number.POSITIVE_INFINITY);
  const from = new Int32Array(longest + 1);
  cost[0] = 0;
  for (let n = 1; n <= longest; n++) {
    for (let below = 0; below < n; below++) {
      const enough = targets[n] - targets[below] >= batchSize || (n === longest && below === 0);
      const total = cost[below] + (count[n] - count[below]) * n + BUCKET_COST * positions;
      if (!enough || total >= cost[n]) continue;
      cost[n] = total;
      from[n] = below;
    }
  }
  const limits: number[] = [];
  for (let n = longest; n > 0; n = from[n]) limits.unshift(n);
  return limits;
}

function bucketByLength(windows: Windows, batchSize: number): Bucket[] {
  let below = 0;
  return lengthLimits(windows, batchSize).map((limit) => {
    const members: number[] = [];
    let targets = 0;
    for (let w = 0; w < windows.count; w++) {
      if (windows.length[w] <= below || windows.length[w] > limit) continue;
      members.push(w);
      targets += windows.first[w + 1] - windows.first[w];
    }
    below = limit;
    return shapeBucket(limit, Int32Array.from(members), targets, windows, batchSize);
  });
}

function shapeBucket(
  length: number,
  members: Int32Array,
  targets: number,
  windows: Windows,
  batchSize: number,
): Bucket {
  const batches = Math.ceil(targets / batchSize);
  const rows = Math.ceil(members.length / batches);
  if (windows.single || batches === 1) {
    return { length, windows: members, batches, rows, targets: Math.ceil(targets / batches) };
  }
  // Windows have different numbers of targets: a little room lets nearly every deal come out even.
  const mean = targets / members.length;
  const variance =
    members.reduce((sum, w) => sum + (windows.first[w + 1] - windows.first[w] - mean) ** 2, 0) /
    members.length;
  const room = Math.ceil(0.5 * Math.sqrt(variance * rows));
  const largest = members.reduce((most, w) => Math.max(most, windows.first[w + 1] - windows.first[w]), 0);
  const capacity = Math.max(largest, Math.ceil(targets / batches) + room);
  return { length, windows: members, batches, rows: rows + Math.ceil(room / mean), targets: capacity };
}
