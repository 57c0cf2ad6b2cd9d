import type { Dataset, Rows } from '../data/dataset.ts';
import { type Compiled, type CompileOptions, compile, type HostTensor, type tf } from '../engine/index.ts';
import type { Recommender } from '../models/index.ts';
import { catalogue, historyOf, queries, type TextTable } from './objective.ts';

/** Numbers in the vectors of all positions encoded at once, padding included: enough to fill the cores, few enough to stay in cache. */
const ENCODED_NUMBERS = 2 ** 18;

/** Turns the histories of rows into vectors, in batches of similar length. */
export class HistoryEncoder {
  readonly #dataset: Dataset;
  readonly #maxHistory: number;
  readonly #text: TextTable;
  readonly #encode: Compiled;

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
    this.#encode = compile((inputs) => {
      const last = inputs.last as tf.Tensor1D;
      const { history, lengths, table } = inputs;
      const items = catalogue(inputs.text, dataset.itemCount);
      const seen = historyOf({ history, lengths, last, table, items });
      return { queries: queries(model, seen, last, { training: false }) };
    }, options);
  }

  /**
   * @param table [items, d] what the model's items() gave
   * @returns [count, d] the vector after each of the rows [first, first + count), in their order
   */
  async encode(rows: Rows, first: number, count: number, table: HostTensor): Promise<Float32Array> {
    const d = table.shape[1];
    const size = (i: number) => Math.min(this.#maxHistory, rows.end[first + i] - rows.start[first + i]);
    const order = Int32Array.from({ length: count }, (_, i) => i).sort((a, b) => size(b) - size(a) || a - b);
    const vectors = new Float32Array(count * d);
    // From the longest on, every batch but the last is filled with whatever comes next: there is one shape a length.
    for (let begin = 0; begin < count; ) {
      const length = roundUp(size(order[begin]), this.#maxHistory);
      const most = Math.max(1, Math.floor(ENCODED_NUMBERS / (d * length)));
      const part = order.subarray(begin, Math.min(begin + most, count));
      const batch = part.length < most ? Math.min(most, 2 ** Math.ceil(Math.log2(part.length))) : most;
      const encoded = await this.#encodeBatch(rows, first, part, { batch, length, table });
      part.forEach((row, i) => {
        vectors.set(encoded.subarray(i * d, (i + 1) * d), row * d);
      });
      begin += part.length;
    }
    return vectors;
  }

  /** Encodes the rows first + `part` in a batch of fixed shape [batch, length]. */
  async #encodeBatch(
    rows: Rows,
    first: number,
    part: Int32Array,
    { batch, length, table }: { batch: number; length: number; table: HostTensor },
  ): Promise<Float32Array> {
    const history = new Int32Array(batch * length);
    const lengths = new Int32Array(batch).fill(1);
    const last = Int32Array.from({ length: batch }, (_, i) => i * length);
    part.forEach((row, i) => {
      const end = rows.end[first + row];
      lengths[i] = Math.min(this.#maxHistory, end - rows.start[first + row]);
      history.set(this.#dataset.pool.subarray(end - lengths[i], end), i * length);
      last[i] += lengths[i] - 1;
    });
    const { queries } = await this.#encode({
      table,
      history: { dtype: 'int32', shape: [batch, length], data: history },
      lengths: { dtype: 'int32', shape: [batch], data: lengths },
      last: { dtype: 'int32', shape: [batch], data: last },
      ...(this.#text && { text: this.#text }),
    });
    return queries.data as Float32Array;
  }

  close(): Promise<void> {
    return this.#encode.close();
  }
}

/** Lengths 1, 2, 3, 4, 6, 8, 12, 16, 24, ...: few shapes are compiled, and at most a third of a batch is padding. */
function roundUp(length: number, limit: number): number {
  for (let power = 1; ; power *= 2) {
    const step = power >= length ? power : power * 1.5;
    if (step >= length && Number.isInteger(step)) return Math.min(step, limit);
  }
}
