import { seeded } from '../common/random.ts';
import { type Check, crossGram, multiply, orthonormalise, symmetricEigen } from './linear-algebra.ts';

/** Compressed sparse rows: row r's values are `values[start[r]..start[r + 1])`, in columns `columns[...]`. */
export interface SparseMatrix {
  rows: number;
  width: number;
  start: Int32Array;
  columns: Int32Array;
  values: Float32Array;
}

/** Leading singular values (descending) and right singular vectors, as the columns of V [width, rank]. */
export interface TruncatedSvd {
  values: Float64Array;
  right: Float64Array;
}

/** Columns of a dense matrix handled at once: bounds the memory that a wide sparse matrix needs. */
const bandWidth = 64;

/**
 * The `rank` leading singular values and right singular vectors of A, by randomised subspace iteration (Halko,
 * Martinsson, Tropp 2011, algorithms 4.4 and 5.1): a seeded Gaussian block, iterated under A A^T, and solved within
 * the subspace found. Deterministic. Where A has a lower rank, the values and vectors beyond it are zero.
 */
export function truncatedSvd(
  a: SparseMatrix,
  rank: number,
  check: Check,
  { iterations = 2, oversampling = 16 } = {},
): TruncatedSvd {
  const at = transpose(a);
  const found = Math.min(rank, a.rows, a.width);
  const width = Math.min(a.rows, found + oversampling);
  const random = seeded('truncated svd', rank);
  let y: Float64Array = Float64Array.from({ length: a.rows * width }, () => random.normal());
  for (let i = 0; i < iterations; i++) y = orthonormalise(timesSquare(a, at, y, width, check), width, check);
  const projected = crossGram(y, timesSquare(a, at, y, width, check), width, check);
  const eigen = symmetricEigen(projected, width, check);
  const values = Float64Array.from({ length: rank }, (_, k) => (k < found ? Math.sqrt(eigen.values[k]) : 0));
  const toRight = new Float64Array(width * rank);
  for (let k = 0; k < found; k++)
    if (values[k] > 1e-6 * values[0])
      for (let j = 0; j < width; j++) toRight[j * rank + k] = eigen.vectors[k * width + j] / values[k];
  const right = new Float64Array(a.width * rank);
  product(at, multiply(y, width, toRight, rank, check), rank, right, check);
  return { values, right };
}

/** A A^T Y of Y [rows, width], band by band of columns. */
function timesSquare(
  a: SparseMatrix,
  at: SparseMatrix,
  y: Float64Array,
  width: number,
  check: Check,
): Float64Array {
  const out = new Float64Array(y.length);
  for (let first = 0; first < width; first += bandWidth) {
    const band = Math.min(bandWidth, width - first);
    const z = new Float64Array(a.width * band);
    check();
    addProduct(at, y, width, first, z, band, 0, band);
    check();
    addProduct(a, z, band, 0, out, width, first, band);
  }
  return out;
}

/** A Y of Y [a.width, width] into `out` [rows, width]. */
export function product(
  a: SparseMatrix,
  y: Float64Array,
  width: number,
  out: Float64Array,
  check: Check,
): void {
  for (let first = 0; first < width; first += bandWidth) {
    check();
    addProduct(a, y, width, first, out, width, first, Math.min(bandWidth, width - first));
  }
}

/** out[row, to..to + band) += sum over columns of A[row, column] * y[column, from..from + band), four columns a pass. */
function addProduct(
  a: SparseMatrix,
  y: Float64Array,
  yWidth: number,
  from: number,
  out: Float64Array,
  outWidth: number,
  to: number,
  band: number,
): void {
  const { start, columns, values } = a;
  for (let row = 0; row < a.rows; row++) {
    const target = row * outWidth + to;
    const end = start[row + 1];
    let e = start[row];
    for (; e + 4 <= end; e += 4) {
      const [v0, v1, v2, v3] = [values[e], values[e + 1], values[e + 2], values[e + 3]];
      const s0 = columns[e] * yWidth + from;
      const s1 = columns[e + 1] * yWidth + from;
      const s2 = columns[e + 2] * yWidth + from;
      const s3 = columns[e + 3] * yWidth + from;
      for (let j = 0; j < band; j++)
        out[target + j] += v0 * y[s0 + j] + v1 * y[s1 + j] + v2 * y[s2 + j] + v3 * y[s3 + j];
    }
    for (; e < end; e++) {
      const source = columns[e] * yWidth + from;
      for (let j = 0; j < band; j++) out[target + j] += values[e] * y[source + j];
    }
  }
}

function transpose(a: SparseMatrix): SparseMatrix {
  const start = new Int32Array(a.width + 1);
  for (const column of a.columns) start[column + 1]++;
  for (let column = 0; column < a.width; column++) start[column + 1] += start[column];
  const next = start.slice();
  const columns = new Int32Array(a.columns.length);
  const values = new Float32Array(a.values.length);
  for (let row = 0; row < a.rows; row++)
    for (let e = a.start[row]; e < a.start[row + 1]; e++) {
      const at = next[a.columns[e]]++;
      columns[at] = row;
      values[at] = a.values[e];
    }
  return { rows: a.width, width: a.rows, start, columns, values };
}
