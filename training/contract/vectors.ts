import { messageOf } from '../../common/errors.ts';
import { compile, cpuDevice, type Device, type HostTensor, modelLine, tf } from '../../engine/index.ts';
import type { Items, Recommender } from '../../models/index.ts';
import { catalogue, historyOf } from '../objective.ts';
import { checkedShapes } from '../shapes.ts';
import { type Built, ITEMS, textFor, type Variant } from './variants.ts';

/** A rule of the contract that a model breaks; the message says how, and what usually causes it. */
export class Broken extends Error {}

export function ensure(holds: boolean, message: string): asserts holds {
  if (!holds) throw new Broken(message);
}

/** The model, with the shapes of what it returns checked, and its own failures named by where they come from. */
export function guarded(model: Recommender): Recommender {
  return checkedShapes({
    ...model,
    items: (items, mode) => named('items()', () => model.items(items, mode)),
    sequence: (history, mode) => named('sequence()', () => model.sequence(history, mode)),
    ...(model.loss && { loss: (batch, mode) => named('loss()', () => model.loss!(batch, mode)) }),
  });
}

function named<T>(part: string, call: () => T): T {
  const limit = Error.stackTraceLimit;
  // The model's own frame may lie behind many of tfjs.
  Error.stackTraceLimit = 50;
  try {
    return call();
  } catch (error) {
    if (error instanceof Broken) throw error;
    const place = error instanceof Error ? modelLine(error.stack) : '';
    throw new Broken(`${part} failed${place}: ${messageOf(error)}`, { cause: error });
  } finally {
    Error.stackTraceLimit = limit;
  }
}

export interface Vectors {
  /** [ITEMS, d] */
  items: Float32Array;
  /** [batch, length, d] */
  sequence: Float32Array;
  /** [batch, d] by the `last` form */
  last: Float32Array;
  /** The vectors of the items `places`, asked for by themselves. */
  some: Float32Array;
  d: number;
  /** The vector after a position of a row. */
  at(row: number, position: number): Float32Array;
}

/** Places of the items that are asked for by themselves: out of order, and one twice. */
export const places = [5, 2, 11, 5];

/** The CPU with one thread and with two. */
export const devices: Device[] = [1, 2].map((threads) => cpuDevice({ threads }));

/** Item vectors, and sequence vectors in both forms, of histories with the given padded length. */
export async function vectorsOf(
  variant: Variant,
  { model, parameters }: Built,
  histories: readonly number[][],
  length: number,
  { device = devices[0], seed = 0 }: { device?: Device; seed?: number } = {},
): Promise<Vectors> {
  const text = textFor(variant);
  const mode = { training: false };
  const compiled = compile(
    ({ text, history, lengths, ends, chosen }) => {
      const source = catalogue(text, ITEMS);
      const some = model.items(selected(source, chosen as tf.Tensor1D), mode);
      const items = model.items(source, mode);
      const inputs = { history, lengths, table: items, items: source };
      const sequence = model.sequence(historyOf(inputs), mode);
      const lastForm = model.sequence(historyOf({ ...inputs, last: ends }), mode);
      // A model may leave the last form alone: its vectors are then looked up, as training does.
      const d = lastForm.shape[2];
      const shortened = lastForm.shape[1] === 1 && length > 1;
      const flat = tf.reshape(lastForm, [-1, d]);
      return { items, some, sequence, last: shortened ? flat : tf.gather(flat, ends as tf.Tensor1D) };
    },
    { parameters, device },
  );
  try {
    const rows = histories.length;
    // Whatever lies in the padding must not matter: it is not zero here.
    const padded = histories.flatMap((h, row) => Array.from({ length }, (_, i) => h[i] ?? (row + i) % ITEMS));
    const { items, some, sequence, last } = await compiled(
      {
        history: int32([rows, length], padded),
        lengths: int32(
          [rows],
          histories.map((h) => h.length),
        ),
        ends: int32(
          [rows],
          histories.map((h, i) => i * length + h.length - 1),
        ),
        chosen: int32([places.length], places),
        ...(text && { text }),
      },
      { seed, step: seed },
    );
    const d = items.shape[1];
    const copy = ({ data }: HostTensor) => data.slice() as Float32Array;
    const vectors = copy(sequence);
    return {
      ...{ items: copy(items), some: copy(some), sequence: vectors, last: copy(last), d },
      at: (row, position) =>
        vectors.subarray((row * length + position) * d, (row * length + position + 1) * d),
    };
  } finally {
    await compiled.close();
  }
}

function selected(items: Items, chosen: tf.Tensor1D): Items {
  return {
    count: places.length,
    get text() {
      return tf.gather(items.text, chosen);
    },
    rows: (table) => tf.gather(items.rows(table), chosen),
  };
}

const int32 = (shape: number[], values: readonly number[]): HostTensor => ({
  dtype: 'int32',
  shape,
  data: Int32Array.from(values),
});

/** The largest distance between elements; NaN where one is NaN. */
export const distance = (a: Float32Array, b: Float32Array): number =>
  a.reduce((most, x, i) => Math.max(most, Math.abs(x - b[i])), 0);

/** A history of that many items. */
export const history = (length: number, shift = 0): number[] =>
  Array.from({ length }, (_, i) => (i * 5 + shift) % ITEMS);
