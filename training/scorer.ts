import type { Dataset, Rows } from '../data/dataset.ts';
import { type Compiled, type CompileOptions, compile, type HostTensor, tf } from '../engine/index.ts';
import type { Scorer } from '../evaluation/ranking.ts';
import type { Recommender } from '../models/index.ts';
import { candidates, catalogue, historyOf, queries, type TextTable } from './objective.ts';

const MODE = { training: false };
/** Positions encoded at once, padding included: enough to fill the cores, few enough to stay in cache. */
const ENCODE_POSITIONS = 4096;

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
      const { history, lengths, table } = inputs;
      const items = catalogue(inputs.text, dataset.itemCount);
      const seen = historyOf({ history, lengths, last, table, items });
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
    for (let begin = 0; begin < order.length; ) {
      const length = roundUp(size(order[begin]), this.#maxHistory);
      const most = Math.max(1, Math.floor(ENCODE_POSITIONS / length));
      let end = begin;
      while (end < order.length && end - begin < most && size(order[end]) <= length) end++;
      // The rest of a length is filled up to a multiple of 64 rows: a little waste, but few shapes.
      const batch = Math.min(most, Math.ceil((end - begin) / 64) * 64);
      await this.#encodeBatch(rows, order.subarray(begin, end), batch, length, vectors);
      begin = end;
    }
    return vectors;
  }

  /** Encodes the rows of `part` in a batch of fixed shape [batch, length]; writes each vector to its row's place. */
  async #encodeBatch(
    rows: Rows,
    part: Int32Array,
    batch: number,
    length: number,
    vectors: Float32Array,
  ): Promise<void> {
    const history = new Int32Array(batch * length);
    const lengths = new Int32Array(batch).fill(1);
    const last = Int32Array.from({ length: batch }, (_, i) => i * length);
    part.forEach((row, i) => {
      lengths[i] = Math.min(this.#maxHistory, rows.end[row] - rows.start[row]);
      history.set(this.#dataset.pool.subarray(rows.end[row] - lengths[i], rows.end[row]), i * length);
      last[i] += lengths[i] - 1;
    });
    const { queries } = await this.#encode({
      table: this.#table!,
      history: { dtype: 'int32', shape: [batch, length], data: history },
      lengths: { dtype: 'int32', shape: [batch], data: lengths },
      last: { dtype: 'int32', shape: [batch], data: last },
      ...(this.#text && { text: this.#text }),
    });
    const d = queries.shape[1];
    part.forEach((row, i) => {
      vectors.set((queries.data as Float32Array).subarray(i * d, (i + 1) * d), row * d);
    });
  }

  async close(): Promise<void> {
    for (const compiled of [this.#itemVectors, this.#encode, this.#product]) await compiled.close();
  }
}

/** Lengths 1, 2, 3, 4, 6, 8, 12, 16, 24, ...: few shapes are compiled, and at most a third of a batch is padding. */
function roundUp(length: number, limit: number): number {
  for (let power = 1; ; power *= 2) {
    const step = power >= length ? power : power * 1.5;
    if (step >= length && Number.isInteger(step)) return Math.min(step, limit);
  }
}
