import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { seeded } from '../../common/random.ts';
import {
  dedupe,
  kCore,
  keepItems,
  sortByUserAndTime,
  splitByTimestamp,
  splitLeaveLastOut,
  timesInMilliseconds,
} from '../../data/rules.ts';
import type { Interactions } from '../../data/table.ts';

type Triple = [user: number, item: number, time: number];

function table(triples: readonly Triple[]): Interactions {
  return {
    user: Int32Array.from(triples, ([user]) => user),
    item: Int32Array.from(triples, ([, item]) => item),
    time: Float64Array.from(triples, ([, , time]) => time),
  };
}

function triples({ user, item, time }: Interactions): Triple[] {
  return Array.from(user, (u, i) => [u, item[i], time[i]]);
}

/** Interactions with many repeats and ties. */
function randomTable(seed: number, n = 400): Triple[] {
  const random = seeded(seed, 'rules test');
  return Array.from({ length: n }, () => [random.below(30), random.below(25), random.below(12)]);
}

test('dedupe keeps the earliest, and the first of equally early ones', () => {
  const kept = dedupe(
    table([
      [0, 7, 5],
      [0, 7, 3],
      [1, 7, 9],
      [0, 8, 3],
      [0, 7, 3],
      [1, 7, 9],
    ]),
  );
  assert.equal(triples(kept), [
    [0, 7, 3],
    [1, 7, 9],
    [0, 8, 3],
  ]);
});

test('dedupe equals a plain implementation', () => {
  const rows = randomTable(1);
  const expected = rows.filter(([u, i, t], at) =>
    rows.every(([v, j, s], other) => v !== u || j !== i || s > t || (s === t && other >= at)),
  );
  assert.equal(triples(dedupe(table(rows))), expected);
});

test('k-core is repeated until stable', () => {
  // Item 2 falls first, then user 2 has one interaction left and falls, then item 1 falls.
  const rows: Triple[] = [
    [0, 0, 1],
    [0, 3, 2],
    [1, 0, 3],
    [1, 3, 4],
    [2, 1, 5],
    [2, 2, 6],
    [0, 1, 7],
  ];
  assert.equal(triples(kCore(table(rows), 2)), [
    [0, 0, 1],
    [0, 3, 2],
    [1, 0, 3],
    [1, 3, 4],
  ]);
  assert.equal(triples(kCore(table(rows), 0)), rows);
  assert.equal(triples(kCore(table(rows), 9)), []);
});

test('k-core equals a plain implementation', () => {
  for (const k of [2, 8, 14]) {
    let expected = randomTable(2);
    for (;;) {
      const now = expected;
      expected = now.filter(
        ([u, i]) => now.filter(([v]) => v === u).length >= k && now.filter(([, j]) => j === i).length >= k,
      );
      if (expected.length === now.length) break;
    }
    assert.equal(triples(kCore(table(randomTable(2)), k)), expected);
  }
});

test('file order breaks ties of time', () => {
  const sorted = sortByUserAndTime(
    table([
      [1, 9, 5],
      [0, 8, 5],
      [1, 7, 5],
      [1, 6, 4],
    ]),
  );
  assert.equal(triples(sorted), [
    [0, 8, 5],
    [1, 6, 4],
    [1, 9, 5],
    [1, 7, 5],
  ]);
});

test('random ties are seeded, and never change the order of times', () => {
  const rows = table(randomTable(3));
  const one = triples(sortByUserAndTime(rows, seeded(1)));
  assert.equal(one, triples(sortByUserAndTime(rows, seeded(1))));
  assert.not.equal(one, triples(sortByUserAndTime(rows, seeded(2))));
  for (let i = 1; i < one.length; i++)
    assert.ok(one[i - 1][0] < one[i][0] || (one[i - 1][0] === one[i][0] && one[i - 1][2] <= one[i][2]));
});

test('timestamp split: train < t1 <= valid < t2 <= test', () => {
  assert.equal([...splitByTimestamp(Float64Array.of(9, 10, 11, 19, 20, 21), [10, 20])], [0, 1, 1, 1, 2, 2]);
});

test('leave-last-out: users of 1, 2, 3 and 4 interactions', () => {
  const user = Int32Array.of(0, 1, 1, 2, 2, 2, 3, 3, 3, 3);
  assert.equal([...splitLeaveLastOut(user)], [2, 1, 2, 0, 1, 2, 0, 0, 1, 2]);
});

test('seconds become milliseconds', () => {
  assert.equal([...timesInMilliseconds(Float64Array.of(5, 1405296000)).time], [5000, 1405296000000]);
  const ms = Float64Array.of(1405296000000);
  assert.is(timesInMilliseconds(ms).time, ms);
});

test('items are kept by a test', () => {
  const kept = keepItems(
    table([
      [0, 1, 1],
      [0, 2, 2],
      [1, 1, 3],
    ]),
    (item) => item === 1,
  );
  assert.equal(triples(kept), [
    [0, 1, 1],
    [1, 1, 3],
  ]);
});

test.run();
