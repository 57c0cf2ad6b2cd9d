import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { seeded } from '../../common/random.ts';
import type { Dataset, Rows } from '../../data/dataset.ts';
import { planWindows, type Windows } from '../../data/windows.ts';
import { inFolder, load, realFolder } from './helpers.ts';
import { columns, pairsOfRows, randomRows } from './rows-support.ts';

/** Every (history, target) pair that windows stand for, spelled out and sorted. */
function pairsOf(pool: Int32Array, w: Windows): string[] {
  const pairs: string[] = [];
  for (let i = 0; i < w.count; i++)
    for (let t = w.first[i]; t < w.first[i + 1]; t++)
      pairs.push(`${pool.subarray(w.start[i], w.start[i] + w.position[t] + 1)} > ${w.target[t]}`);
  return pairs.sort();
}

function checkWindows(pool: Int32Array, rows: Rows, maxHistory: number): void {
  const expected = pairsOfRows(pool, rows, maxHistory);
  for (const mode of ['rows', 'grouped', 'auto'] as const) {
    const windows = planWindows(rows, maxHistory, mode);
    assert.equal(pairsOf(pool, windows), expected, mode);
    assert.is(windows.first.length, windows.count + 1);
    assert.is(windows.first[0], 0);
    assert.is(windows.first.at(-1), rows.target.length);
    for (let i = 0; i < windows.count; i++) {
      assert.ok(windows.length[i] >= 1 && windows.length[i] <= maxHistory);
      assert.ok(windows.first[i] < windows.first[i + 1], 'a window without a target');
      const positions = windows.position.subarray(windows.first[i], windows.first[i + 1]);
      assert.is(Math.max(...positions), windows.length[i] - 1, 'a window ends where its last target is');
    }
    assert.is(windows.single, windows.count === rows.target.length);
  }
  assert.is(planWindows(rows, maxHistory, 'rows').count, rows.target.length);
}

test('rows by hand: prefixes share a window, what lies beyond the longest history has its own', () => {
  // A pool of 5 6 7 8 9 | 1 2: one user with every prefix a row, one with a single row.
  const rows = columns([
    { start: 0, end: 1, target: 6 },
    { start: 0, end: 2, target: 7 },
    { start: 0, end: 3, target: 8 },
    { start: 0, end: 4, target: 9 },
    { start: 5, end: 6, target: 2 },
  ]);
  const windows = planWindows(rows, 3, 'grouped');
  assert.equal(windows, {
    count: 3,
    start: Int32Array.of(0, 1, 5),
    length: Int32Array.of(3, 3, 1),
    first: Int32Array.of(0, 3, 4, 5),
    position: Int32Array.of(0, 1, 2, 2, 0),
    target: Int32Array.of(6, 7, 8, 9, 2),
    single: false,
  });
});

test('random rows: every pair once, in every mode', () => {
  for (let seed = 0; seed < 20; seed++) {
    const random = seeded('windows', seed);
    const lengths = Array.from({ length: 1 + random.below(30) }, () => 2 + random.below(seed % 2 ? 8 : 60));
    const { pool, rows } = randomRows(lengths, seed, 50);
    checkWindows(pool, rows, 1 + random.below(40));
  }
});

test('rows in any order, with gaps and repeats', () => {
  for (let seed = 0; seed < 10; seed++) {
    const random = seeded('gaps', seed);
    const { pool, rows } = randomRows([30, 4, 9, 2, 17], seed, 20);
    const some = Array.from({ length: 40 }, () => random.below(rows.target.length));
    const picked = columns(
      some.map((i) => ({ start: rows.start[i], end: rows.end[i], target: random.below(20) })),
    );
    checkWindows(pool, picked, 1 + random.below(20));
  }
});

test('one row, and no row', () => {
  checkWindows(Int32Array.of(3, 4), columns([{ start: 0, end: 2, target: 9 }]), 50);
  checkWindows(Int32Array.of(), columns([]), 50);
});

test("'auto' groups where prefixes are shared, and not where they are not", () => {
  const long = randomRows([20, 20, 20]);
  assert.is(planWindows(long.rows, 50, 'auto').single, false);
  const alone = columns([0, 10, 20].map((start) => ({ start, end: start + 9, target: 1 })));
  assert.is(planWindows(alone, 50, 'auto').single, true);
  // Two rows of 4 and 5 positions: 5 grouped, 9 alone, of which a row alone costs 0.6: 5 <= 5.4.
  const two = (shorter: number) =>
    columns([
      { start: 0, end: shorter, target: 1 },
      { start: 0, end: 5, target: 2 },
    ]);
  assert.is(planWindows(two(4), 50, 'auto').count, 1);
  // 3 and 5: 5 grouped, 8 x 0.6 = 4.8 alone.
  assert.is(planWindows(two(3), 50, 'auto').count, 2);
});

/** The fewest windows that can cover the rows: one a distinct first item of a cut history. */
const fewest = ({ start, end }: Rows, maxHistory: number) =>
  new Set(Array.from(end, (e, i) => Math.max(start[i], e - maxHistory))).size;

for (const [name, settings] of [
  ['ml100k-r5h5', {}],
  ['amazon2014-beauty', { split: 'leave-last-out' }],
] as const) {
  const path = realFolder(name);
  if (!path) continue;
  test(`${name}: every pair once, in every mode`, async () => {
    await inFolder(async () => {
      const { pool, train }: Dataset = await load(path, settings);
      checkWindows(pool, train, 50);
      assert.is(planWindows(train, 50, 'grouped').count, fewest(train, 50));
    });
  });
}

test.run();
