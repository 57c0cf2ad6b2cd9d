import { customGradient } from './custom-gradient.ts';
import { gemm, runKernel } from './ops.ts';
import { tf } from './tf.ts';
import { traceTarget } from './tracer.ts';

const CHUNK_BYTES = 64 * 2 ** 20;
const LEAST_ROWS = 512;
/** On a graphics card: as many as every card binds in one piece. */
const CARD_CHUNK_BYTES = 128 * 2 ** 20;
/** Where the smallest chunk's logits take more, and all of them more than LARGE_BYTES, they are computed tile by tile. */
const HELD_BYTES = 192 * 2 ** 20;
const LARGE_BYTES = 256 * 2 ** 20;
/** The least probability of a target that a loss counts: about 69 nats. */
export const LEAST_PROBABILITY = 1e-30;

export interface CrossEntropyOptions {
  /**
   * 'chunks' keeps the logits of some rows at a time: three products. 'tiles' never holds logits outside of the cache, but
   * computes them again for the items' gradient: four products, which cost as much as three whose logits lie in memory. By
   * default tiles where memory would count.
   */
  form?: 'chunks' | 'tiles';
  /**
   * chunks: rows whose logits are held at once; by default as many as fit 64 MB, but at least 512: with fewer rows the
   * products slow down more than the cache gains (measured: 1,024 rows of 12,086 items at once take 24 ms, a third of them 30).
   * On a graphics card as many as fit 128 MB.
   */
  chunk?: number;
  /** [items], added to every row's logits; computed in chunks. */
  bias?: tf.Tensor1D;
}

interface Rows {
  /** [rows, d], [items, d] */
  h: tf.Tensor2D;
  items: tf.Tensor2D;
  target: tf.Tensor1D;
  /** [rows, 1] */
  weight: tf.Tensor2D;
  bias?: tf.Tensor1D;
}

interface Parts {
  /** [rows, 1] the probability of every target. */
  hit: tf.Tensor;
  /** [rows, d] sum_j p_rj items_j */
  mixedItems: tf.Tensor;
  /** [items, d] sum_r p_rj w_r h_r */
  mixedRows: tf.Tensor;
  /** [items] sum_r p_rj w_r, where there is a bias. */
  shares?: tf.Tensor;
}

/**
 * Softmax cross-entropy of a linear layer, summed with weights: sum_r w_r * -log softmax(h_r . items^T)[target_r].
 * The logits [rows, items] never exist as a whole, and gradients are taken on the way. A row counts at most 69 nats
 * (a probability of 1e-30); its gradient is exact all the same.
 * @param h [rows, d] float32
 * @param items [items, d] float32
 * @param target [rows] int32
 * @param weight [rows] float32; zero for rows that only fill the batch
 * @returns scalar
 */
export function linearCrossEntropy(
  h: tf.Tensor2D,
  items: tf.Tensor2D,
  target: tf.Tensor1D,
  weight: tf.Tensor1D,
  { form, chunk, bias }: CrossEntropyOptions = {},
): tf.Scalar {
  const [rows, count] = [h.shape[0], items.shape[0]];
  const card = traceTarget() === 'gpu';
  const large = !card && 4 * LEAST_ROWS * count > HELD_BYTES && 4 * rows * count > LARGE_BYTES;
  const tiles = form ? form === 'tiles' : chunk === undefined && bias === undefined && large;
  const fitting = Math.floor((card ? CARD_CHUNK_BYTES : CHUNK_BYTES) / (4 * count));
  const step = chunk ?? Math.max(card ? 1 : LEAST_ROWS, fitting);
  return customGradient(bias ? [h, items, bias] : [h, items], (inputs) => {
    const [h, items] = inputs as tf.Tensor2D[];
    const column = tf.expandDims(weight, 1) as tf.Tensor2D;
    const batch = { h, items, target, weight: column, bias: inputs[2] as tf.Tensor1D | undefined };
    const parts = tiles ? byTiles(batch) : byChunks(batch, Math.min(rows, step));
    const { hit, mixedItems, mixedRows, shares } = parts;
    const loss = tf.neg(tf.sum(tf.mul(tf.log(tf.maximum(hit, LEAST_PROBABILITY)), column)));
    // The one-hot half of (softmax - onehot).
    const dh = tf.mul(tf.sub(mixedItems, tf.gather(items, target)), column);
    const dItems = tf.add(mixedRows, tf.unsortedSegmentSum(tf.neg(tf.mul(h, column)), target, count));
    const dBias = shares && tf.add(shares, tf.unsortedSegmentSum(tf.neg(weight), target, count));
    return {
      value: loss,
      saved: dBias ? [dh, dItems, dBias] : [dh, dItems],
      gradient: (dy, saved) => saved.map((g) => tf.mul(g, dy)),
    };
  }) as tf.Scalar;
}

/** Chunks of rows: each one's probabilities serve all three products while they are at hand. */
function byChunks({ h, items, target, weight, bias }: Rows, step: number): Parts {
  const [rows] = h.shape;
  const weighted = tf.mul(h, weight) as tf.Tensor2D;
  const hit: tf.Tensor[] = [];
  const mixedItems: tf.Tensor[] = [];
  let mixedRows: tf.Tensor2D | undefined;
  let shares: tf.Tensor | undefined;
  for (let first = 0; first < rows; first += step) {
    const n = Math.min(step, rows - first);
    const part = <T extends tf.Tensor>(t: T) =>
      tf.slice(t, [first, 0].slice(0, t.rank), [n, ...t.shape.slice(1)]) as T;
    const logits = bias
      ? gemm(part(h), items, bias, { transposeB: true })
      : tf.matMul(part(h), items, false, true);
    const p = tf.softmax(logits) as tf.Tensor2D;
    hit.push(gatherElements(p, tf.expandDims(part(target), 1)));
    mixedItems.push(tf.matMul(p, items));
    mixedRows = mixedRows
      ? gemm(p, part(weighted), mixedRows, { transposeA: true })
      : tf.matMul(p, part(weighted), true, false);
    if (!bias) continue;
    const share = tf.matMul(part(weight), p, true, false);
    shares = shares ? tf.add(shares, share) : share;
  }
  return {
    hit: tf.concat(hit, 0),
    mixedItems: tf.concat(mixedItems, 0),
    mixedRows: mixedRows!,
    shares: shares && tf.reshape(shares, [items.shape[0]]),
  };
}

/**
 * Attention twice: rows over items, then items over rows. Attention tells weighted means, not the sums of weights that
 * they were divided by; what a key of known logit gets of the weight tells the sum. A row's is an extra item that scores
 * as its target does, so that its share is at most a half: p / (1 + p) for a target of probability p. An item's is an
 * extra row of logit 0.
 */
function byTiles({ h, items, target, weight }: Rows): Parts {
  const [rows, d] = h.shape;
  const count = items.shape[0];
  const alone = tf.concat([tf.zeros([1, d]), tf.ones([1, 1])], 1) as tf.Tensor2D;
  /** [[x, column], [0, corner]] */
  const bordered = (x: tf.Tensor, column: tf.Tensor, last: tf.Tensor2D) =>
    tf.concat([tf.concat([x, column], 1), last], 0) as tf.Tensor2D;

  const score = tf.sum(tf.mul(h, tf.gather(items, target)), 1, true);
  const keys = bordered(items, tf.zeros([count, 1]), alone);
  const overItems = attention(tf.concat([h, score], 1) as tf.Tensor2D, keys, keys);
  const share = tf.slice(overItems, [0, d], [rows, 1]);
  const rest = tf.sub(1, share);
  const hit = tf.div(share, rest);

  // log sum_j exp(s_rj); a share of 0 (a target 87 nats below the best item) would make it infinite.
  const normaliser = tf.sub(score, tf.log(tf.maximum(hit, 1e-37)));
  const overRows = attention(
    tf.concat([items, tf.ones([count, 1])], 1) as tf.Tensor2D,
    bordered(h, tf.neg(normaliser), tf.zeros([1, d + 1])),
    bordered(tf.mul(h, weight), tf.zeros([rows, 1]), alone),
  );
  return {
    hit,
    mixedItems: tf.div(tf.slice(overItems, [0, 0], [rows, d]), rest),
    mixedRows: tf.div(tf.slice(overRows, [0, 0], [count, d]), tf.slice(overRows, [0, d], [count, 1])),
  };
}

/** out[i, j] = x[i, indices[i, j]]; it has no gradient. */
function gatherElements(x: tf.Tensor2D, indices: tf.Tensor): tf.Tensor2D {
  return runKernel<tf.Tensor2D>('GatherElements', { x, indices }, { axis: 1 });
}

/** softmax(q.k^T).v without scale, [q, d] over [k, d] and [k, dv] -> [q, dv]; it has no gradient. */
function attention(q: tf.Tensor2D, k: tf.Tensor2D, v: tf.Tensor2D): tf.Tensor2D {
  return runKernel<tf.Tensor2D>('SoftmaxAttention', { q, k, v });
}
