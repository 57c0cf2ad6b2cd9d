import {
  type Compiled,
  type CompileOptions,
  compile,
  type Feeds,
  type HostTensor,
  tf,
} from '../engine/index.ts';
import type { Shortlists } from '../evaluation/ranking.ts';

/** Items of a group, of which the best one speaks for all. */
const GROUP = 16;
/** Ranks are found by a product of their own; beyond this width it costs more than a copy of all scores and a look at them. */
const WIDEST = 128;
/** Bytes of the scores that a graph holds at once. */
const SCORE_BYTES = 64 << 20;

/**
 * Finds few items for each of some rows, by dot product, that hold its best ones. Groups of neighbours are compared by their best
 * items: the k best groups hold the k best items, equal scores in the order of ids included, as every other group has k items
 * before its own best one. The scores of these groups are all that leaves the graph.
 */
export class TopFinder {
  readonly #best: Compiled;
  #candidates: HostTensor | undefined;
  /** The candidates that fill whole groups, and those that are left over, where there are any. */
  #parts: Feeds = {};

  constructor(options: CompileOptions) {
    // Its shape says how many groups are wanted.
    this.#best = compile(
      ({ queries, grouped, ungrouped, wanted }) => {
        const rows = queries.shape[0];
        const groups = grouped.shape[0] / GROUP;
        const product = (items: tf.Tensor) =>
          tf.matMul(queries as tf.Tensor2D, items as tf.Tensor2D, false, true);
        const scores = tf.reshape(product(grouped), [rows * groups, GROUP]);
        const best = tf.reshape(tf.max(scores, 1), [rows, groups]);
        const { indices } = tf.topk(best, wanted.shape[0], false);
        const starts = tf.tensor2d(
          Array.from({ length: rows }, (_, i) => i * groups),
          [rows, 1],
          'int32',
        );
        return {
          groups: indices,
          scores: tf.gather(scores, tf.add(indices, starts) as tf.Tensor2D),
          ...(ungrouped && { rest: product(ungrouped) }),
        };
      },
      { ...options, parameters: undefined },
    );
  }

  /** @param candidates [items, d]; they are read at every `find` */
  follow(candidates: HostTensor): void {
    const { shape, data, frozen } = candidates;
    const [items, d] = shape;
    const slice = (from: number, to: number): HostTensor => ({
      dtype: 'float32',
      shape: [to - from, d],
      data: data.subarray(from * d, to * d),
      frozen,
    });
    const grouped = Math.floor(items / GROUP) * GROUP;
    this.#candidates = candidates;
    this.#parts = {
      grouped: slice(0, grouped),
      ...(items > grouped && { ungrouped: slice(grouped, items) }),
    };
  }

  /**
   * @param queries [count, d]
   * @param k how many of a row's best items are wanted
   * @returns undefined where a look at all scores would cost less
   */
  async find(queries: Float32Array, k: number): Promise<Shortlists | undefined> {
    const [items, d] = this.#candidates!.shape;
    const count = queries.length / d;
    const groups = Math.floor(items / GROUP);
    const wanted = 2 ** Math.ceil(Math.log2(k));
    if (wanted * 4 > groups || d > WIDEST) return undefined;
    const restItems = items - groups * GROUP;
    const width = wanted * GROUP + restItems;
    const found = { items: new Int32Array(count * width), scores: new Float32Array(count * width), width };
    // One row alone onnxruntime multiplies in another way, and rounds otherwise.
    const most = Math.max(1, Math.floor(Math.log2(SCORE_BYTES / (4 * items))));
    const tile = 2 ** Math.min(most, Math.max(1, Math.ceil(Math.log2(count))));
    for (let first = 0; first < count; first += tile) {
      const rows = Math.min(tile, count - first);
      const result = await this.#best({
        ...this.#parts,
        queries: part(queries, first, rows, tile, d),
        wanted: { dtype: 'int32', shape: [wanted], data: new Int32Array(wanted) },
      });
      for (let i = 0; i < rows; i++) {
        const at = (first + i) * width;
        found.scores.set(result.scores.data.subarray(i * wanted * GROUP, (i + 1) * wanted * GROUP), at);
        for (let j = 0; j < wanted; j++) {
          const start = result.groups.data[i * wanted + j] * GROUP;
          for (let n = 0; n < GROUP; n++) found.items[at + j * GROUP + n] = start + n;
        }
        for (let j = 0; j < restItems; j++) {
          found.items[at + wanted * GROUP + j] = groups * GROUP + j;
          found.scores[at + wanted * GROUP + j] = result.rest.data[i * restItems + j];
        }
      }
    }
    return found;
  }

  close(): Promise<void> {
    return this.#best.close();
  }
}

/** The rows [first, first + rows) of values [.., d], filled up with zeros. */
function part(values: Float32Array, first: number, rows: number, padded: number, d: number): HostTensor {
  const data = new Float32Array(padded * d);
  data.set(values.subarray(first * d, (first + rows) * d));
  return { dtype: 'float32', shape: [padded, d], data };
}
