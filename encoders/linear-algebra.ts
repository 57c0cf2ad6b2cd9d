/** Called between pieces of long work: keeps the event loop alive, and throws where the user asked to stop. */
export type Check = () => void;

/** Rows a piece of dense work; a piece takes a few milliseconds at the widths used here. */
const pieceRows = 256;

/**
 * A^T B of A and B [rows, width], where the product is known to be symmetric: half of it is computed, both halves are
 * filled.
 */
export function crossGram(a: Float64Array, b: Float64Array, width: number, check: Check): Float64Array {
  const out = new Float64Array(width * width);
  const rows = a.length / width;
  for (let first = 0; first < rows; first += pieceRows) {
    check();
    addCrossGram(out, a, b, width, first, Math.min(rows, first + pieceRows));
  }
  for (let i = 0; i < width; i++) for (let j = 0; j < i; j++) out[i * width + j] = out[j * width + i];
  return out;
}

/** Four rows at a time, so that each pass over the result does four products an element. */
function addCrossGram(
  out: Float64Array,
  a: Float64Array,
  b: Float64Array,
  width: number,
  first: number,
  end: number,
): void {
  let r = first;
  for (; r + 4 <= end; r += 4) {
    const b0 = r * width;
    const b1 = b0 + width;
    const b2 = b1 + width;
    const b3 = b2 + width;
    for (let i = 0; i < width; i++) {
      const a0 = a[b0 + i];
      const a1 = a[b1 + i];
      const a2 = a[b2 + i];
      const a3 = a[b3 + i];
      const row = i * width;
      for (let j = i; j < width; j++)
        out[row + j] += a0 * b[b0 + j] + a1 * b[b1 + j] + a2 * b[b2 + j] + a3 * b[b3 + j];
    }
  }
  for (; r < end; r++)
    for (let i = 0; i < width; i++)
      for (let j = i; j < width; j++) out[i * width + j] += a[r * width + i] * b[r * width + j];
}

/** Y [rows, width] times W [width, columns], row-major. */
export function multiply(
  y: Float64Array,
  width: number,
  w: Float64Array,
  columns: number,
  check: Check,
): Float64Array {
  const rows = y.length / width;
  const out = new Float64Array(rows * columns);
  for (let row = 0; row < rows; row++) {
    if (row % pieceRows === 0) check();
    addRowProduct(out, row * columns, y, row * width, width, w, columns);
  }
  return out;
}

/** Four rows of W at a time, so that each pass over the result does four products an element. */
function addRowProduct(
  out: Float64Array,
  target: number,
  y: Float64Array,
  source: number,
  width: number,
  w: Float64Array,
  columns: number,
): void {
  let k = 0;
  for (; k + 4 <= width; k += 4) {
    const y0 = y[source + k];
    const y1 = y[source + k + 1];
    const y2 = y[source + k + 2];
    const y3 = y[source + k + 3];
    const w0 = k * columns;
    const w1 = w0 + columns;
    const w2 = w1 + columns;
    const w3 = w2 + columns;
    for (let j = 0; j < columns; j++)
      out[target + j] += y0 * w[w0 + j] + y1 * w[w1 + j] + y2 * w[w2 + j] + y3 * w[w3 + j];
  }
  for (; k < width; k++) {
    const value = y[source + k];
    for (let j = 0; j < columns; j++) out[target + j] += value * w[k * columns + j];
  }
}

/**
 * Y [rows, width] with its columns made orthonormal by Cholesky QR: Y^T Y = R^T R, and the result is Y R^-1. Columns
 * that depend on earlier ones become zero.
 */
export function orthonormalise(y: Float64Array, width: number, check: Check): Float64Array {
  const r = crossGram(y, y, width, check);
  cholesky(r, width);
  return multiply(y, width, invertUpper(r, width), width, check);
}

/** Upper Cholesky factor of G [n, n], in place in its upper half; rows of vanishing pivots are zero. */
function cholesky(g: Float64Array, n: number): void {
  const original = Float64Array.from({ length: n }, (_, i) => g[i * n + i]);
  for (let k = 0; k < n; k++) {
    const row = k * n;
    if (!(g[row + k] > 1e-12 * original[k])) {
      g.fill(0, row + k, row + n);
      continue;
    }
    const pivot = Math.sqrt(g[row + k]);
    for (let j = k; j < n; j++) g[row + j] /= pivot;
    for (let i = k + 1; i < n; i++) {
      const factor = g[row + i];
      for (let j = i; j < n; j++) g[i * n + j] -= factor * g[row + j];
    }
  }
}

/** Inverse of the upper triangle of R [n, n]; where a pivot is zero, its row and column of the inverse are zero. */
function invertUpper(r: Float64Array, n: number): Float64Array {
  const inverse = new Float64Array(n * n);
  for (let i = n - 1; i >= 0; i--) {
    const pivot = r[i * n + i];
    if (!pivot) continue;
    inverse[i * n + i] = 1 / pivot;
    for (let k = i + 1; k < n; k++) {
      const factor = r[i * n + k] / pivot;
      for (let j = k; j < n; j++) inverse[i * n + j] -= factor * inverse[k * n + j];
    }
  }
  return inverse;
}

/**
 * Eigenvalues (descending) and eigenvectors (rows of `vectors`) of a symmetric positive semidefinite matrix [n, n],
 * by one-sided Jacobi rotations (Hestenes): rotated until orthogonal, the matrix's rows are eigenvalue times
 * eigenvector. Vectors of vanishing eigenvalues are zero.
 */
export function symmetricEigen(
  matrix: Float64Array,
  n: number,
  check: Check,
): { values: Float64Array; vectors: Float64Array } {
  const m = Float64Array.from(matrix);
  for (let sweep = 0, rotated = true; rotated && sweep < 30; sweep++) {
    rotated = false;
    for (let p = 0; p < n - 1; p++) {
      if (p % 32 === 0) check();
      for (let q = p + 1; q < n; q++) if (rotate(m, p * n, q * n, n)) rotated = true;
    }
  }
  const norms = Float64Array.from({ length: n }, (_, i) => Math.hypot(...m.subarray(i * n, i * n + n)));
  const order = [...norms.keys()].sort((a, b) => norms[b] - norms[a]);
  const values = Float64Array.from(order, (i) => norms[i]);
  const vectors = new Float64Array(n * n);
  const negligible = 1e-13 * values[0];
  order.forEach((from, to) => {
    if (norms[from] > negligible)
      for (let j = 0; j < n; j++) vectors[to * n + j] = m[from * n + j] / norms[from];
  });
  return { values, vectors };
}

/** Makes two rows orthogonal; false where they were so already. */
function rotate(m: Float64Array, p: number, q: number, n: number): boolean {
  let pp = 0;
  let qq = 0;
  let pq = 0;
  for (let j = 0; j < n; j++) {
    const x = m[p + j];
    const y = m[q + j];
    pp += x * x;
    qq += y * y;
    pq += x * y;
  }
  if (Math.abs(pq) <= 1e-10 * Math.sqrt(pp * qq)) return false;
  const zeta = (qq - pp) / (2 * pq);
  const t = Math.sign(zeta || 1) / (Math.abs(zeta) + Math.sqrt(1 + zeta * zeta));
  const c = 1 / Math.sqrt(1 + t * t);
  const s = c * t;
  for (let j = 0; j < n; j++) {
    const x = m[p + j];
    const y = m[q + j];
    m[p + j] = c * x - s * y;
    m[q + j] = s * x + c * y;
  }
  return true;
}
