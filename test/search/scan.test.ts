import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Progress } from '../../common/progress.ts';
import { seeded } from '../../common/random.ts';
import { openScanner } from '../../search/dense/scan.ts';
import { normalise, type Vectors } from '../../search/dense/vectors.ts';

/** Vectors in memory. */
function held(values: Float32Array, dims: number): Vectors {
  return {
    rows: values.length / dims,
    dims,
    read: (first, out) => out.set(values.subarray(first * dims, first * dims + out.length)),
    close() {},
  };
}

function unitRows(rows: number, dims: number, seed: string): Float32Array {
  const random = seeded(seed);
  const values = new Float32Array(rows * dims);
  for (let row = 0; row < rows; row++) {
    const raw = Float32Array.from({ length: dims }, () => random.normal());
    normalise(raw, values.subarray(row * dims, (row + 1) * dims));
  }
  return values;
}

function dot(a: Float32Array, i: number, b: Float32Array, j: number, dims: number): number {
  let sum = 0;
  for (let d = 0; d < dims; d++) sum += a[i * dims + d] * b[j * dims + d];
  return sum;
}

for (const [items, queries, dims, k] of [
  [9001, 600, 24, 100],
  [5000, 1, 40, 10],
  [77, 3, 8, 20],
  [5, 2, 3, 50],
  [4096, 2, 16, 5000],
] as const) {
  test(`the ${k} nearest of ${items} items for ${queries} queries of ${dims} dimensions`, async () => {
    const pool = unitRows(items, dims, 'items');
    const asked = unitRows(queries, dims, 'queries');
    const scanner = openScanner(held(pool, dims), 2);
    const found = await scanner.scan(asked, k, new Progress());
    assert.is(found.length, queries);
    for (let q = 0; q < queries; q += Math.ceil(queries / 20)) {
      const scores = Float64Array.from({ length: items }, (_, i) => dot(asked, q, pool, i, dims));
      const best = [...scores].sort((a, b) => b - a).slice(0, k);
      const hits = found[q];
      assert.is(hits.items.length, Math.min(k, items));
      assert.is(new Set(hits.items).size, hits.items.length);
      hits.items.forEach((item, i) => {
        assert.ok(Math.abs(hits.scores[i] - scores[item]) < 1e-6);
        assert.ok(Math.abs(scores[item] - best[i]) < 1e-6, `rank ${i}: ${scores[item]} for ${best[i]}`);
      });
    }
    await scanner.close();
  });
}

test('equal items come in their order, wherever they lie', async () => {
  const dims = 12;
  const pool = unitRows(9000, dims, 'equal');
  const places = [3, 4095, 4096, 4100, 8191, 8999];
  for (const place of places) pool.set(pool.subarray(0, dims), place * dims);
  const scanner = openScanner(held(pool, dims), 2);
  const [{ items, scores }] = await scanner.scan(pool.slice(0, dims), 5, new Progress());
  assert.equal([...items], [0, ...places].slice(0, 5));
  assert.ok(scores.every((score) => score === scores[0]));
  await scanner.close();
});

test('all scores negative, and fewer items than a group', async () => {
  const scanner = openScanner(held(Float32Array.of(-1, 0, -0.8, -0.6), 2), 1);
  const [{ items, scores }] = await scanner.scan(Float32Array.of(1, 0), 3, new Progress());
  assert.equal([...items], [1, 0]);
  assert.equal([...scores], [Math.fround(-0.8), -1]);
  await scanner.close();
});

test.run();
