import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { seeded } from '../../common/random.ts';
import { type Batch, Batches } from '../../data/batches.ts';
import type { Rows } from '../../data/dataset.ts';
import { planWindows, type WindowMode } from '../../data/windows.ts';
import { inFolder, load, realFolder } from './helpers.ts';
import { columns, pairsOfRows, randomRows } from './rows-support.ts';

interface Given {
  pool: Int32Array;
  rows: Rows;
  batchSize: number;
  maxHistory?: number;
  mode?: WindowMode;
}

function batchesOf({ pool, rows, batchSize, maxHistory = 50, mode = 'auto' }: Given): Batches {
  return new Batches(pool, planWindows(rows, maxHistory, mode), batchSize);
}

function epochOf(batches: Batches, seed = 1, epoch = 1): Batch[] {
  const plan = batches.epoch(seed, epoch);
  return Array.from({ length: plan.count }, (_, i) => plan.batch(i));
}

/** The (history, target) pairs of a batch's real targets. */
function pairsOf({ history, length, positions, target, targetCount }: Batch): string[] {
  return Array.from({ length: targetCount }, (_, t) => {
    const row = Math.floor(positions[t] / length);
    return `${history.subarray(row * length, positions[t] + 1)} > ${target[t]}`;
  });
}

/** What holds for every epoch of every dataset. */
function checkEpoch(given: Given): Batch[] {
  const { rows, pool, batchSize, maxHistory = 50 } = given;
  const batches = batchesOf(given);
  const epoch = epochOf(batches);
  assert.equal(epoch.flatMap(pairsOf).sort(), pairsOfRows(pool, rows, maxHistory));
  const declared = new Set(batches.shapes.map((s) => `${s.rows},${s.length},${s.targets}`));
  for (const batch of epoch) {
    const { rows, length, history, lengths, positions, target, weight, single, targetCount } = batch;
    assert.ok(declared.has(`${rows},${length},${target.length}`), 'an undeclared shape');
    assert.equal(
      [history.length, lengths.length, positions.length, weight.length],
      [rows * length, rows, target.length, target.length],
    );
    assert.ok(targetCount >= 1 && targetCount <= target.length);
    assert.ok(Math.abs(weight.reduce((a, b) => a + b, 0) - 1) < 1e-5);
    for (const [t, w] of weight.entries()) assert.is(w, t < targetCount ? Math.fround(1 / targetCount) : 0);
    assert.ok(lengths.every((n) => n >= 1 && n <= length));
    assert.ok(positions.every((p) => p >= 0 && p < rows * length));
    if (!single) continue;
    assert.is(target.length, rows);
    assert.ok(positions.every((p, row) => p === row * length + lengths[row] - 1));
  }
  // Steps are of the size asked for: never much more, and together not many more than needed.
  const mean = rows.target.length / epoch.length;
  for (const { targetCount } of epoch)
    assert.ok(targetCount <= Math.max(1.5 * batchSize, batchSize + maxHistory), `${targetCount} targets`);
  if (rows.target.length > 4 * batchSize)
    assert.ok(mean > 0.4 * batchSize, `${mean} targets a step on average`);
  return epoch;
}

test('random rows: an epoch has every pair once, in the shapes declared', () => {
  for (let seed = 0; seed < 30; seed++) {
    const random = seeded('batches', seed);
    const lengths = Array.from({ length: 1 + random.below(60) }, () => 2 + random.below(seed % 3 ? 10 : 70));
    const { pool, rows } = randomRows(lengths, seed, 50);
    const batchSize = 1 + random.below(80);
    const maxHistory = 1 + random.below(60);
    for (const mode of ['rows', 'grouped', 'auto'] as const)
      checkEpoch({ pool, rows, batchSize, maxHistory, mode });
  }
});

test('tiny data: one row, fewer rows than a batch, one row a batch', () => {
  const one = { pool: Int32Array.of(3, 4), rows: columns([{ start: 0, end: 2, target: 9 }]) };
  for (const mode of ['rows', 'grouped', 'auto'] as const) {
    const [batch, ...more] = checkEpoch({ ...one, batchSize: 2048, mode });
    assert.is(more.length, 0);
    assert.equal(batch, {
      rows: 1,
      length: 2,
      history: Int32Array.of(3, 4),
      lengths: Int32Array.of(2),
      positions: Int32Array.of(1),
      target: Int32Array.of(9),
      weight: Float32Array.of(1),
      single: true,
      targetCount: 1,
    });
  }
  const few = randomRows([3, 4]);
  assert.is(checkEpoch({ ...few, batchSize: 2048, mode: 'rows' }).length, 1);
  assert.is(checkEpoch({ ...few, batchSize: 1, mode: 'rows' }).length, few.rows.target.length);
  assert.is(checkEpoch({ ...few, batchSize: 2048, mode: 'grouped' }).length, 1);
});

test('long histories of one target have batches of their own, where there are enough of them', () => {
  // 30 users with 40 items: of those, 35 more targets each follow 5 items.
  const { pool, rows } = randomRows(new Array(30).fill(40), 1, 50);
  const shapesFor = (batchSize: number) => {
    const given: Given = { pool, rows, batchSize, maxHistory: 5, mode: 'grouped' };
    for (const batch of checkEpoch(given)) {
      const many = batch.targetCount > batch.rows;
      assert.is(batch.single, !many && batchSize < 120, `${batch.targetCount} targets in ${batch.rows} rows`);
    }
    return batchesOf(given).shapes;
  };
  const apart = shapesFor(64);
  assert.equal([...new Set(apart.map(({ single }) => single))].sort(), [false, true]);
  // The users' first windows have fewer targets than one batch.
  assert.ok(shapesFor(200).every(({ single }) => !single));
});

/** The least cost of all ways to pad histories in ranges of length: positions, and 5 % of the real ones for a range. */
function leastCost(lengths: readonly number[], batchSize: number): number {
  const longest = Math.max(...lengths);
  const real = lengths.reduce((a, b) => a + b, 0);
  let least = Number.POSITIVE_INFINITY;
  for (let cuts = 0; cuts < 2 ** (longest - 1); cuts++) {
    const limits = Array.from({ length: longest - 1 }, (_, i) => i + 1).filter((n) => cuts & (1 << (n - 1)));
    const ranges = [...limits, longest].map((limit, i) => {
      const below = limits[i - 1] ?? 0;
      return { limit, count: lengths.filter((n) => n > below && n <= limit).length };
    });
    if (ranges.length > 1 && ranges.some(({ count }) => count < batchSize)) continue;
    const cost = ranges.reduce((sum, { limit, count }) => sum + limit * count + 0.05 * real, 0);
    least = Math.min(least, cost);
  }
  return least;
}

test('histories of similar length share a shape, such that the fewest positions are padding', () => {
  for (let seed = 0; seed < 40; seed++) {
    const random = seeded('shapes', seed);
    const lengths = Array.from(
      { length: 1 + random.below(80) },
      () => 1 + Math.floor(11 * random.uniform() ** 2),
    );
    const batchSize = 1 + random.below(30);
    const rows = columns(lengths.map((n, i) => ({ start: 12 * i, end: 12 * i + n, target: 0 })));
    const pool = new Int32Array(12 * lengths.length);
    const { shapes } = batchesOf({ pool, rows, batchSize, mode: 'rows' });
    const real = lengths.reduce((a, b) => a + b, 0);
    let below = 0;
    const cost = shapes.reduce((sum, { length }) => {
      const members = lengths.filter((n) => n > below && n <= length).length;
      below = length;
      return sum + members * length + 0.05 * real;
    }, 0);
    assert.ok(
      Math.abs(cost - leastCost(lengths, batchSize)) < 1e-6,
      `seed ${seed}: ${shapes.map((s) => s.length)}`,
    );
  }
});

test('steps of a bucket are of equal size, not full ones and a rest', () => {
  const { pool, rows } = randomRows(new Array(101).fill(2));
  const sizes = epochOf(batchesOf({ pool, rows, batchSize: 50, mode: 'rows' })).map((b) => b.targetCount);
  assert.equal(sizes.sort(), [33, 34, 34]);
});

test('an epoch depends on (seed, epoch) alone, and its batches on no others', () => {
  const { pool, rows } = randomRows([9, 30, 4, 12, 7, 21, 3, 3], 1, 50);
  const make = () => batchesOf({ pool, rows, batchSize: 10, maxHistory: 12 });
  const first = epochOf(make(), 1, 1);
  const batches = make();
  epochOf(batches, 9, 9);
  assert.equal(epochOf(batches, 1, 1), first);
  const plan = batches.epoch(1, 1);
  assert.equal(plan.batch(2), first[2]);
  for (const [seed, epoch] of [
    [1, 2],
    [2, 1],
  ])
    assert.not.equal(epochOf(make(), seed, epoch), first);
  // Not only the order: the company that a target keeps changes too.
  const company = (batches: Batch[]) => batches.map((b) => pairsOf(b).sort().join()).sort();
  assert.not.equal(company(epochOf(make(), 1, 2)), company(first));
});

test('every window is equally likely to come early', () => {
  const { pool, rows } = randomRows(new Array(40).fill(2), 1, 1000);
  const batches = batchesOf({ pool, rows, batchSize: 10, mode: 'rows' });
  const early = new Map<string, number>();
  const epochs = 400;
  for (let epoch = 1; epoch <= epochs; epoch++)
    for (const pair of pairsOf(batches.epoch(1, epoch).batch(0))) early.set(pair, (early.get(pair) ?? 0) + 1);
  // Binomial(400, 1/4): mean 100, deviation 8.7.
  assert.is(early.size, 40);
  for (const [pair, times] of early) assert.ok(Math.abs(times - epochs / 4) < 45, `${pair}: ${times}`);
});

for (const [name, settings] of [
  ['ml100k-r5h5', {}],
  ['amazon2014-beauty', { split: 'leave-last-out' }],
] as const) {
  const path = realFolder(name);
  if (!path) continue;
  test(`${name}: an epoch has every pair once`, async () => {
    await inFolder(async () => {
      const { pool, train: rows } = await load(path, settings);
      for (const mode of ['rows', 'grouped'] as const) {
        const epoch = checkEpoch({ pool, rows, batchSize: 512, mode });
        // Filling costs work: little of it.
        const targets = epoch.reduce((sum, b) => sum + b.target.length, 0);
        assert.ok(
          targets < 1.1 * rows.target.length,
          `${targets} targets computed for ${rows.target.length}`,
        );
        const shapes = batchesOf({ pool, rows, batchSize: 512, mode }).shapes;
        assert.ok(shapes.length <= 8);
      }
    });
  });
}

test.run();
