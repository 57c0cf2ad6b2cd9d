import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { fuse } from '../../search/fusion.ts';
import type { Hits } from '../../search/top-k.ts';

const list = (...items: number[]): Hits => ({
  items: Int32Array.from(items),
  scores: Float64Array.from(items, (_, i) => 9 - i),
});

test('reciprocal ranks, weighted', () => {
  const { items, scores } = fuse(list(1, 2, 3), list(3, 4), 0.25, 60, 10);
  const expected = new Map([
    [1, 0.75 / 61],
    [2, 0.75 / 62],
    [3, 0.75 / 63 + 0.25 / 61],
    [4, 0.25 / 62],
  ]);
  assert.equal([...items], [3, 1, 2, 4]);
  items.forEach((item, i) => {
    assert.ok(Math.abs(scores[i] - expected.get(item)!) < 1e-15);
  });
  assert.equal([...fuse(list(1, 2, 3), list(3, 4), 0.25, 60, 2).items], [3, 1]);
});

test('at weight 0 and 1 one list alone counts; equal ranks go to the lower item', () => {
  assert.equal([...fuse(list(5, 1), list(2, 7, 8), 0, 60, 10).items], [5, 1]);
  assert.equal([...fuse(list(5, 1), list(2, 7, 8), 1, 60, 10).items], [2, 7, 8]);
  assert.equal([...fuse(list(5, 1), list(2, 7), 0.5, 60, 10).items], [2, 5, 1, 7]);
  assert.is(fuse(list(), list(), 0.5, 60, 10).items.length, 0);
});

test.run();
