import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { seeded } from '../../common/random.ts';
import { crossGram, multiply, orthonormalise, symmetricEigen } from '../../encoders/linear-algebra.ts';
import { product, type SparseMatrix, truncatedSvd } from '../../encoders/truncated-svd.ts';

const check = () => {};
const random = seeded('linear algebra test');
const dense = (rows: number, columns: number) =>
  Float64Array.from({ length: rows * columns }, () => random.normal());

/** Plain triple loop: A^T B. */
function transposeTimes(a: Float64Array, b: Float64Array, rows: number, n: number, m: number): Float64Array {
  const out = new Float64Array(n * m);
  for (let r = 0; r < rows; r++)
    for (let i = 0; i < n; i++) for (let j = 0; j < m; j++) out[i * m + j] += a[r * n + i] * b[r * m + j];
  return out;
}

function near(actual: ArrayLike<number>, expected: ArrayLike<number>, tolerance: number): void {
  assert.is(actual.length, expected.length);
  for (let i = 0; i < expected.length; i++)
    assert.ok(Math.abs(actual[i] - expected[i]) <= tolerance, `[${i}] ${actual[i]} is not ${expected[i]}`);
}

/** A sparse matrix with the values of a dense one, about one in three. */
function sparse(rows: number, width: number): { matrix: SparseMatrix; full: Float64Array } {
  const full = dense(rows, width).map((x) => (random.uniform() < 0.35 ? Math.fround(x) : 0));
  const start = [0];
  const columns: number[] = [];
  const values: number[] = [];
  for (let r = 0; r < rows; r++) {
    for (let c = 0; c < width; c++)
      if (full[r * width + c]) {
        columns.push(c);
        values.push(full[r * width + c]);
      }
    start.push(columns.length);
  }
  const matrix = {
    rows,
    width,
    start: Int32Array.from(start),
    columns: Int32Array.from(columns),
    values: Float32Array.from(values),
  };
  return { matrix, full };
}

/** Eigenvalues and eigenvectors by power iteration with deflation, as far from the code under test as can be. */
function powerIteration(
  matrix: Float64Array,
  n: number,
  count: number,
): { value: number; vector: Float64Array }[] {
  const m = matrix.slice();
  return Array.from({ length: count }, () => {
    let v = dense(n, 1);
    let value = 0;
    for (let step = 0; step < 6000; step++) {
      const next = new Float64Array(n);
      for (let i = 0; i < n; i++) for (let j = 0; j < n; j++) next[i] += m[i * n + j] * v[j];
      value = Math.hypot(...next);
      v = next.map((x) => x / value);
    }
    for (let i = 0; i < n; i++) for (let j = 0; j < n; j++) m[i * n + j] -= value * v[i] * v[j];
    return { value, vector: v };
  });
}

test('products equal plain loops, for row counts that do not fill a block', () => {
  for (const rows of [1, 3, 4, 259]) {
    const y = dense(rows, 7);
    const w = dense(7, 5);
    const expected = new Float64Array(rows * 5);
    for (let r = 0; r < rows; r++)
      for (let k = 0; k < 7; k++)
        for (let j = 0; j < 5; j++) expected[r * 5 + j] += y[r * 7 + k] * w[k * 5 + j];
    near(multiply(y, 7, w, 5, check), expected, 1e-12);
    near(crossGram(y, y, 7, check), transposeTimes(y, y, rows, 7, 7), 1e-11);
  }
});

test('columns are made orthonormal; a dependent one becomes zero', () => {
  const y = dense(50, 6);
  for (let r = 0; r < 50; r++) y[r * 6 + 3] = y[r * 6] - 2 * y[r * 6 + 1];
  const q = orthonormalise(y, 6, check);
  const identity = Float64Array.from({ length: 36 }, (_, i) => (i % 7 === 0 && i !== 21 ? 1 : 0));
  near(transposeTimes(q, q, 50, 6, 6), identity, 1e-10);
  // Every kept column of Y lies in the span of Q.
  const back = multiply(q, 6, transposeTimes(q, y, 50, 6, 6), 6, check);
  near(back, y, 1e-9);
});

test('eigenvalues and eigenvectors rebuild the matrix, and equal those of power iteration', () => {
  const y = dense(40, 9);
  const matrix = transposeTimes(y, y, 40, 9, 9);
  const { values, vectors } = symmetricEigen(matrix, 9, check);
  const rebuilt = new Float64Array(81);
  for (let k = 0; k < 9; k++)
    for (let i = 0; i < 9; i++)
      for (let j = 0; j < 9; j++) rebuilt[i * 9 + j] += values[k] * vectors[k * 9 + i] * vectors[k * 9 + j];
  near(rebuilt, matrix, 1e-8);
  const expected = powerIteration(matrix, 9, 3);
  for (let k = 0; k < 3; k++) {
    assert.ok(Math.abs(values[k] - expected[k].value) < 1e-6);
    const cosine = expected[k].vector.reduce((sum, x, j) => sum + x * vectors[k * 9 + j], 0);
    assert.ok(Math.abs(Math.abs(cosine) - 1) < 1e-6);
  }
});

test('the truncated SVD has the leading singular values and vectors of the exact one', () => {
  const { matrix, full } = sparse(60, 45);
  const exact = powerIteration(transposeTimes(full, full, 60, 45, 45), 45, 6);
  const { values, right } = truncatedSvd(matrix, 40, check);
  for (let k = 0; k < 6; k++) {
    assert.ok(Math.abs(values[k] - Math.sqrt(exact[k].value)) < 1e-4 * values[0], `value ${k}`);
    const cosine = exact[k].vector.reduce((sum, x, j) => sum + x * right[j * 40 + k], 0);
    assert.ok(Math.abs(cosine) > 0.999, `vector ${k}: ${cosine}`);
  }
});

test('with a rank below the width the best approximation is nearly reached', () => {
  const { matrix, full } = sparse(120, 80);
  const rank = 10;
  const { values, right } = truncatedSvd(matrix, rank, check);
  const us = new Float64Array(120 * rank);
  product(matrix, right, rank, us, check);
  const exact = powerIteration(transposeTimes(full, full, 120, 80, 80), 80, rank);
  const best = exact.reduce((sum, { value }) => sum + value, 0);
  const reached = us.reduce((sum, x) => sum + x * x, 0);
  assert.ok(reached <= best * (1 + 1e-9));
  assert.ok(reached > 0.97 * best, `${reached} of ${best}`);
  const columns = transposeTimes(us, us, 120, rank, rank);
  for (let k = 0; k < rank; k++)
    assert.ok(Math.abs(Math.sqrt(columns[k * rank + k]) - values[k]) < 0.02 * values[0]);
});

test('more dimensions than the matrix has leave zeros, and two runs give the same bits', () => {
  const { matrix } = sparse(5, 8);
  const { values, right } = truncatedSvd(matrix, 12, check);
  assert.ok(values.subarray(0, 5).every((x) => x > 0));
  assert.ok(values.subarray(5).every((x) => x === 0));
  for (let j = 0; j < 8; j++) assert.ok(right.subarray(j * 12 + 5, j * 12 + 12).every((x) => x === 0));
  assert.equal(truncatedSvd(matrix, 12, check), { values, right });
});

test.run();
