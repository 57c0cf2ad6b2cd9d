/** A matrix [rows, columns], row-major, of W [columns, rows]: in blocks, for the cache's sake. */
export function transpose(values: Float32Array, [columns, rows]: readonly number[]): Float32Array {
  const out = new Float32Array(values.length);
  const block = 32;
  for (let c0 = 0; c0 < columns; c0 += block)
    for (let r0 = 0; r0 < rows; r0 += block) {
      const [c1, r1] = [Math.min(columns, c0 + block), Math.min(rows, r0 + block)];
      for (let c = c0; c < c1; c++) for (let r = r0; r < r1; r++) out[r * columns + c] = values[c * rows + r];
    }
  return out;
}
