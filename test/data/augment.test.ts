import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { dropItems, dropWords } from '../../data/augment.ts';
import type { Batch } from '../../data/batches.ts';

/** A batch of histories, each of its own items in their order: 0 1 2 ..., 100 101 .... */
function batchOf(sizes: readonly number[], length: number): Batch {
  const rows = sizes.length;
  const history = new Int32Array(rows * length);
  sizes.forEach((size, row) => {
    for (let i = 0; i < size; i++) history[row * length + i] = row * 100 + i;
  });
  return {
    rows,
    length,
    history,
    lengths: Int32Array.from(sizes),
    positions: Int32Array.from(sizes, (size, row) => row * length + size - 1),
    target: new Int32Array(rows),
    weight: new Float32Array(rows).fill(1 / rows),
    single: true,
    targetCount: rows,
  };
}

test('a view keeps the order of a history, its last position known, zeros after it', () => {
  const batch = batchOf([1, 2, 7, 50, 33], 50);
  const before = structuredClone(batch);
  for (let step = 1; step <= 50; step++) {
    const { history, lengths, positions } = dropItems(batch, 0.5, 1, step);
    for (let row = 0; row < batch.rows; row++) {
      const own = Array.from(history.subarray(row * 50, (row + 1) * 50));
      const kept = own.slice(0, lengths[row]);
      assert.ok(kept.length >= 1 && kept.length <= batch.lengths[row]);
      assert.is(positions[row], row * 50 + lengths[row] - 1);
      const last = kept.reduce(
        (previous, item) => {
          assert.ok(item > previous, 'out of order');
          return item;
        },
        row * 100 - 1,
      );
      assert.ok(last < row * 100 + batch.lengths[row], 'an item of another row');
      assert.ok(own.slice(lengths[row]).every((item) => item === 0));
    }
  }
  assert.equal(batch, before, 'the batch itself was changed');
});

test('one item stays, though all were drawn; any of them may', () => {
  const batch = batchOf([3], 3);
  const stayed = new Set<number>();
  for (let step = 1; step <= 200; step++) {
    const { history, lengths } = dropItems(batch, 0.999, 1, step);
    if (lengths[0] === 1) stayed.add(history[0]);
  }
  assert.equal([...stayed].sort(), [0, 1, 2]);
});

test('items drop at the rate asked for', () => {
  const batch = batchOf(new Array(400).fill(50), 50);
  for (const rate of [0, 0.2, 0.6]) {
    const { lengths } = dropItems(batch, rate, 1, 1);
    const kept = lengths.reduce((a, b) => a + b, 0) / (400 * 50);
    // 20,000 draws: the deviation is at most 0.0036.
    assert.ok(Math.abs(kept - (1 - rate)) < 0.015, `${kept} kept at rate ${rate}`);
  }
  assert.equal(dropItems(batch, 0, 1, 1).history, batch.history);
});

test('a view depends on (seed, step) alone', () => {
  const batch = batchOf(new Array(20).fill(10), 10);
  assert.equal(dropItems(batch, 0.5, 1, 3), dropItems(batch, 0.5, 1, 3));
  assert.not.equal(dropItems(batch, 0.5, 1, 3), dropItems(batch, 0.5, 1, 4));
  assert.not.equal(dropItems(batch, 0.5, 1, 3), dropItems(batch, 0.5, 2, 3));
});

test('words drop at the rate asked for, in order, never all of them', () => {
  const words = Array.from({ length: 1000 }, (_, i) => `word${i}`);
  const text = words.join(' ');
  const kept = dropWords(text, 0.3, 1, 0).split(' ');
  assert.ok(Math.abs(kept.length - 700) < 75, `${kept.length} of 1000 words`);
  assert.equal(
    kept,
    words.filter((word) => kept.includes(word)),
  );
  assert.is(dropWords(text, 0, 1, 0), text);
  for (let index = 0; index < 100; index++)
    assert.ok(['one', 'two'].includes(dropWords('one two', 0.9999, 1, index)));
  assert.is(dropWords('', 0.5, 1, 0), '');
  assert.is(dropWords(text, 0.3, 1, 5), dropWords(text, 0.3, 1, 5));
  assert.is.not(dropWords(text, 0.3, 1, 5), dropWords(text, 0.3, 1, 6));
  assert.is.not(dropWords(text, 0.3, 1, 5), dropWords(text, 0.3, 2, 5));
});

test.run();
