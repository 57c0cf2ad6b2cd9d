import { compile, type Device, type HostTensor, tf } from '../../engine/index.ts';

const QUERIES = 256;

/**
 * Where each query finds its own candidate among all, by dot product; of equal scores the lower number is first.
 * @param queries [n, d], @param candidates [m, d], @param own [n] number of each query's candidate
 * @returns [n] 0-based ranks
 */
export async function rankOwn(
  queries: HostTensor,
  candidates: HostTensor,
  own: Int32Array,
  device: Device,
): Promise<Int32Array> {
  const [n, d] = queries.shape;
  const m = candidates.shape[0];
  const product = compile(
    ({ q, c }) => ({ scores: tf.matMul(q as tf.Tensor2D, c as tf.Tensor2D, false, true) }),
    { device },
  );
  const ranks = new Int32Array(n);
  try {
    for (let first = 0; first < n; first += QUERIES) {
      const count = Math.min(QUERIES, n - first);
      const data = (queries.data as Float32Array).subarray(first * d, (first + count) * d);
      const { scores } = await product({ q: { dtype: 'float32', shape: [count, d], data }, c: candidates });
      for (let q = 0; q < count; q++) {
        const row = scores.data.subarray(q * m, (q + 1) * m) as Float32Array;
        const target = own[first + q];
        const score = row[target];
        let rank = 0;
        for (let c = 0; c < m; c++) if (row[c] > score || (row[c] === score && c < target)) rank++;
        ranks[first + q] = rank;
      }
    }
  } finally {
    await product.close();
  }
  return ranks;
}
