import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { seeded } from '../../common/random.ts';
import { itemsInOrderOfAppearance, keepItemsOfHistories, rowsOfHistories } from '../../data/rows.ts';
import { HistoryBuilder, type HistoryRows, type SplitName, splitNames } from '../../data/table.ts';

type Row = [user: number, history: number[], target: number];

function rowsOf(rows: readonly Row[]): HistoryRows {
  const builder = new HistoryBuilder();
  for (const [user, history, target] of rows) builder.add(user, target, history);
  return builder.rows();
}

function source(train: Row[], valid: Row[] = [], test: Row[] = []): Record<SplitName, HistoryRows> {
  return { train: rowsOf(train), valid: rowsOf(valid), test: rowsOf(test) };
}

function spelled({ pool, rows }: ReturnType<typeof rowsOfHistories>, split: SplitName): Row[] {
  const { user, start, end, target } = rows[split];
  return Array.from(target, (t, i) => [user[i], [...pool.subarray(start[i], end[i])], t]);
}

test('histories that grow share one place, in whatever order the file has them', () => {
  const ascending: Row[] = [
    [0, [1], 2],
    [0, [1, 2], 3],
    [0, [1, 2, 3], 4],
  ];
  for (const rows of [ascending, ascending.toReversed()]) {
    const pooled = rowsOfHistories(source(rows, [[0, [1, 2, 3, 4], 5]], [[0, [1, 2, 3, 4, 5], 6]]));
    assert.equal([...pooled.pool], [1, 2, 3, 4, 5]);
    assert.equal(spelled(pooled, 'train'), rows, 'rows keep the order of the file');
    assert.equal([...pooled.rows.train.start], [0, 0, 0]);
  }
});

test('histories cut to the last 3 are windows of one sequence', () => {
  const pooled = rowsOfHistories(
    source([
      [4, [1], 2],
      [4, [1, 2], 3],
      [4, [1, 2, 3], 4],
      [4, [2, 3, 4], 5],
      [4, [3, 4, 5], 6],
    ]),
  );
  assert.equal([...pooled.pool], [1, 2, 3, 4, 5]);
  assert.equal([...pooled.rows.train.start], [0, 0, 0, 1, 2]);
});

test('a history that fits nothing is appended anew', () => {
  const rows: Row[] = [
    [0, [1, 2], 3],
    [0, [9, 8], 7],
    [1, [1, 2], 3],
  ];
  assert.equal(spelled(rowsOfHistories(source(rows)), 'train'), rows);
});

test('whatever the rows, slices equal the histories and empty ones are dropped', () => {
  const random = seeded(1, 'rows test');
  for (let round = 0; round < 200; round++) {
    const make = (n: number): Row[] =>
      Array.from({ length: n }, () => [
        random.below(3),
        Array.from({ length: random.below(6) }, () => random.below(3)),
        random.below(4),
      ]);
    const rows = { train: make(20), valid: make(5), test: make(5) };
    const pooled = rowsOfHistories(source(rows.train, rows.valid, rows.test));
    for (const split of splitNames)
      assert.equal(
        spelled(pooled, split),
        rows[split].filter(([, history]) => history.length),
      );
  }
});

test('items are numbered by first appearance, a target before its history', () => {
  const pooled = rowsOfHistories(
    source(
      [
        [0, [30, 31], 10],
        [0, [30, 31, 10], 40],
      ],
      [[1, [40, 50], 31]],
      [[1, [60], 61]],
    ),
  );
  assert.equal([...itemsInOrderOfAppearance(pooled, 100)], [10, 30, 31, 40, 50, 61, 60]);
});

test('items without metadata leave histories, and take rows with them where they are targets', () => {
  const kept = keepItemsOfHistories(
    rowsOf([
      [0, [1, 2, 3], 4],
      [0, [1], 2],
      [1, [2], 3],
    ]),
    (item) => item !== 2,
  );
  assert.equal([...kept.target], [4, 3]);
  assert.equal([...kept.history], [1, 3]);
  assert.equal([...kept.offset], [0, 2, 2]);
});

test.run();
