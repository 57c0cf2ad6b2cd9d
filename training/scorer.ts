import type { Dataset, Rows } from '../data/dataset.ts';
import { type Compiled, type CompileOptions, compile, type HostTensor, sizeOf, tf } from '../engine/index.ts';
import type { Scorer } from '../evaluation/ranking.ts';
import type { Recommender } from '../models/index.ts';
import { candidates, catalogue, historyOf, queries, type TextTable } from './objective.ts';

const MODE = { training: false };
/** Histories encoded at once. */
const ENCODE_ROWS = 512;

/**
 * Scores all items with a trained model: item vectors once, histories in batches of similar length, then tiles of the
 * matrix product. `refresh` takes in the parameters' present values.
 */
export class ModelScorer implements Scorer {
  readonly #dataset: Dataset;
  readonly #maxHistory: number;
  readonly #text: TextTable;
  readonly #itemVectors: Compiled;
  readonly #encode: Compiled;
  readonly #product: Compiled;
  #table: HostTensor | undefined;
  #candidates: HostTensor | undefined;
  #encoded: { rows: Rows; vectors: Float32Array } | undefined;

  constructor(
    model: Recommender,
    dataset: Dataset,
    text: TextTable,
    maxHistory: number,
    options: CompileOptions,
  ) {
    this.#dataset = dataset;
    this.#maxHistory = maxHistory;
    this.#text = text;
    this.#itemVectors = compile((inputs) => {
      const table = model.items(catalogue(inputs.text, dataset.itemCount), MODE);
      return { table, candidates: candidates(model, table) };
    }, options);
    this.#encode = compile((inputs) => {
      const last = inputs.last as tf.Tensor1D;
      const { history, lengths, table, text } = inputs;
      const seen = historyOf({ history, lengths, last, table, text });
      return { queries: queries(model, seen, last, MODE) };
    }, options);
    this.#product = compile(
      ({ queries, candidates }) => ({
        scores: tf.matMul(queries as tf.Tensor2D, candidates as tf.Tensor2D, false, true),
      }),
      { ...options, parameters: undefined },
    );
  }

  /** Computes item vectors anew; call it after every change of the parameters. */
  async refresh(): Promise<void> {
    const { table, candidates } = await this.#itemVectors(this.#text ? { text: this.#text } : {});
    this.#table = table;
    this.#candidates = candidates;
    this.#encoded = undefined;
  }

  async score(rows: Rows, first: number, count: number): Promise<Float32Array> {
    if (this.#encoded?.rows !== rows) this.#encoded = { rows, vectors: await this.#encodeAll(rows) };
    const d = this.#candidates!.shape[1];
    const queries: HostTensor = {
      dtype: 'float32',
      shape: [count, d],
      data: this.#encoded.vectors.subarray(first * d, (first + count) * d),
    };
    const { scores } = await this.#product({ queries, candidates: this.#candidates! });
    return scores.data as Float32Array;
  }

  /** [rows, d] the vector after every row's history, in the order of the rows. */
  async #encodeAll(rows: Rows): Promise<Float32Array> {
    const d = this.#table!.shape[1];
    const size = (row: number) => Math.min(this.#maxHistory, rows.end[row] - rows.start[row]);
    const order = Int32Array.from({ length: rows.target.length }, (_, i) => i).sort(
      (a, b) => size(a) - size(b) || a - b,
    );
    const vectors = new Float32Array(order.length * d);
    for (let begin = 0; begin < order.length; begin += ENCODE_ROWS) {
      const part = order.subarray(begin, begin + ENCODE_ROWS);
      const length = roundUp(size(part.at(-1)!), this.#maxHistory);
      // The last batch is filled up to the common shape where that shape is compiled anyway.
      const batch = order.length < ENCODE_ROWS ? part.length : ENCODE_ROWS;
      const history = new Int32Array(batch * length);
      const lengths = new Int32Array(batch).fill(1);
      const last = Int32Array.from({ length: batch }, (_, i) => i * length);
      part.forEach((row, i) => {
        const from = rows.end[row] - size(row);
        history.set(this.#dataset.pool.subarray(from, rows.end[row]), i * length);
        lengths[i] = size(row);
        last[i] += size(row) - 1;
      });
      const { queries } = await this.#encode({
        table: this.#table!,
        history: { dtype: 'int32', shape: [batch, length], data: history },
        lengths: { dtype: 'int32', shape: [batch], data: lengths },
        last: { dtype: 'int32', shape: [batch], data: last },
        ...(this.#text && { text: this.#text }),
      });
      const width = sizeOf(queries.shape) / batch;
      part.forEach((row, i) => {
        vectors.set((queries.data as Float32Array).subarray(i * width, (i + 1) * width), row * d);
      });
    }
    return vectors;
  }

  async close(): Promise<void> {
    for (const compiled of [this.#itemVectors, this.#encode, this.#product]) await compiled.close();
  }
}

/** The next power of two, at most `limit`: few lengths are compiled. */
function roundUp(length: number, limit: number): number {
  let rounded = 1;
  while (rounded < length) rounded *= 2;
  return Math.min(rounded, limit);
}
