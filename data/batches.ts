import { seeded } from '../common/random.ts';
import { SINGLE_TARGET_COST, type Windows } from './windows.ts';

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
  /** True where every window has one target, after its last item. */
  single: boolean;
  batches: number;
  /** Rows and targets of a batch. */
  rows: number;
  targets: number;
}

/**
 * Deals windows out in batches of `batchSize` targets. Windows are bucketed by length, so that few positions are padding
 * and few shapes are compiled, and those of one target apart from others where that saves work: a long history with one
 * target takes as many positions as one with fifty, and would make a batch of a few targets slow. A bucket's batches are
 * of equal size rather than full ones and a rest, so none is wasted.
 */
export class Batches {
  readonly #pool: Int32Array;
  readonly #windows: Windows;
  readonly #buckets: Bucket[];

  constructor(pool: Int32Array, windows: Windows, batchSize: number) {
    this.#pool = pool;
    this.#windows = windows;
    this.#buckets = bucketsOf(windows, batchSize);
  }

  /** The shapes in use, and how many batches an epoch has of each: what is compiled, and is to be warm before it is timed. */
  get shapes(): Omit<Bucket, 'windows'>[] {
    return this.#buckets.map(({ windows: _, ...shape }) => shape);
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

  #fill({ rows, length, targets, single }: Bucket, windows: Int32Array): Batch {
    const { start, length: sizes, first, position, target } = this.#windows;
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

/** A bucket more must save at least this share of the work: every shape is compiled, and holds memory of its own. */
const BUCKET_COST = 0.05;

/** Windows that are put in buckets of their own. */
interface Kind {
  members: Int32Array;
  single: boolean;
}

function bucketsOf(windows: Windows, batchSize: number): Bucket[] {
  const all = Int32Array.from({ length: windows.count }, (_, w) => w);
  if (windows.single) return bucketsOfKinds([{ members: all, single: true }], windows, batchSize).buckets;
  const together = bucketsOfKinds([{ members: all, single: false }], windows, batchSize);
  const alone = all.filter((w) => targetsOf(windows, w) === 1);
  if (Math.min(alone.length, windows.target.length - alone.length) < batchSize) return together.buckets;
  const others = all.filter((w) => targetsOf(windows, w) > 1);
  const kinds = [
    { members: alone, single: true },
    { members: others, single: false },
  ];
  const apart = bucketsOfKinds(kinds, windows, batchSize);
  return apart.cost < together.cost ? apart.buckets : together.buckets;
}

const targetsOf = ({ first }: Windows, w: number): number => first[w + 1] - first[w];

function bucketsOfKinds(kinds: Kind[], windows: Windows, batchSize: number) {
  const work = ({ members, single }: Kind) => workOf(single) * sum(members.map((w) => windows.length[w]));
  const fixed = BUCKET_COST * sum(kinds.map(work));
  const ranges = kinds.map((kind) => lengthRanges(kind, fixed, windows, batchSize));
  return {
    cost: sum(ranges.map(({ cost }) => cost)),
    buckets: kinds.flatMap((kind, i) => cutByLength(kind, ranges[i].limits, windows, batchSize)),
  };
}

/** What a position costs. */
const workOf = (single: boolean): number => (single ? SINGLE_TARGET_COST : 1);

const sum = (values: Int32Array | number[]): number => {
  let total = 0;
  for (const value of values) total += value;
  return total;
};

/**
 * Cuts the lengths of windows into ranges, each padded to its longest: the ranges that cost least, found by dynamic
 * programming over the lengths. A range has at least a batch of targets, so that no batch is mostly filling.
 * @param fixed what a range costs besides
 * @returns the upper length of every range, ascending, and what they cost
 */
function lengthRanges({ members, single }: Kind, fixed: number, windows: Windows, batchSize: number) {
  const longest = members.reduce((most, w) => Math.max(most, windows.length[w]), 1);
  // Prefix sums over lengths: windows and targets of at most that length.
  const count = new Float64Array(longest + 1);
  const targets = new Float64Array(longest + 1);
  for (const w of members) {
    count[windows.length[w]]++;
    targets[windows.length[w]] += targetsOf(windows, w);
  }
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
      const total = cost[below] + (count[n] - count[below]) * n * workOf(single) + fixed;
      if (!enough || total >= cost[n]) continue;
      cost[n] = total;
      from[n] = below;
    }
  }
  const limits: number[] = [];
  for (let n = longest; n > 0; n = from[n]) limits.unshift(n);
  return { limits, cost: cost[longest] };
}

function cutByLength(
  { members, single }: Kind,
  limits: readonly number[],
  windows: Windows,
  batchSize: number,
): Bucket[] {
  return limits.map((limit, i) => {
    const below = limits[i - 1] ?? 0;
    const inside = members.filter((w) => windows.length[w] > below && windows.length[w] <= limit);
    return { length: limit, windows: inside, single, ...shapeOf(inside, single, windows, batchSize) };
  });
}

/** How many batches a bucket makes, and how many rows and targets one has. */
function shapeOf(members: Int32Array, single: boolean, windows: Windows, batchSize: number) {
  const sizes = members.map((w) => targetsOf(windows, w));
  const targets = sum(sizes);
  const batches = Math.ceil(targets / batchSize);
  const rows = Math.ceil(members.length / batches);
  if (single || batches === 1) return { batches, rows, targets: Math.ceil(targets / batches) };
  // Windows have different numbers of targets: a little room lets nearly every deal come out even.
  const mean = targets / members.length;
  const variance = sizes.reduce((sum, size) => sum + (size - mean) ** 2, 0) / members.length;
  const room = Math.ceil(0.5 * Math.sqrt(variance * rows));
  const largest = sizes.reduce((a, b) => Math.max(a, b), 0);
  const capacity = Math.max(largest, Math.ceil(targets / batches) + room);
  return { batches, rows: rows + Math.ceil(room / mean), targets: capacity };
}
