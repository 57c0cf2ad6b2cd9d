import { UserError } from '../common/errors.ts';
import type { AugmentedHistories } from '../data/augment.ts';
import type { Batch } from '../data/batches.ts';
import {
  type Feeds,
  type HostTensor,
  type Inputs,
  l2Normalize,
  linearCrossEntropy,
  tf,
} from '../engine/index.ts';
import type { History, Items, Mode, Recommender } from '../models/index.ts';

/** The frozen text vectors of a run, [items, dims]; undefined for models of ids. */
export type TextTable = HostTensor | undefined;

/** The catalogue as a model sees it, in a compiled function with the input `text`. */
export function catalogue(text: tf.Tensor | undefined, itemCount: number): Items {
  return {
    count: itemCount,
    get text() {
      return required(text);
    },
    rows: (table) => table,
  };
}

/** Some of the items that a model sees, by their places [n] among these. */
function selection(items: Items, places: tf.Tensor1D): Items {
  return {
    count: places.shape[0],
    get text() {
      return tf.gather(items.text, places);
    },
    rows: (table) => tf.gather(items.rows(table), places),
  };
}

function required(text: tf.Tensor | undefined): tf.Tensor2D {
  if (!text)
    throw new UserError(
      "the model reads item texts, but its definition says input: 'id'; say 'text' or 'both'",
    );
  return text as tf.Tensor2D;
}

/** What a History is made of. */
interface HistoryInputs {
  /** [batch, length] int32 places among `items`: item ids where that is the catalogue. */
  history: tf.Tensor;
  /** [batch] int32 */
  lengths: tf.Tensor;
  /** [batch] int32 flat positions of the last items, where only the vectors after those are wanted. */
  last?: tf.Tensor;
  /** [items, d] what items() gave for `items`. */
  table: tf.Tensor;
  items: Items;
}

export function historyOf({ history, lengths, last, table, items }: HistoryInputs): History {
  const [batch, length] = history.shape;
  const flat = tf.reshape(history, [batch * length]) as tf.Tensor1D;
  return {
    batch,
    length,
    vectors: tf.reshape(tf.gather(table, flat), [batch, length, table.shape[1]!]) as tf.Tensor3D,
    items: selection(items, flat),
    lengths: lengths as tf.Tensor1D,
    last: last as tf.Tensor1D | undefined,
  };
}

/** The sequence vectors at the flat positions `wanted` of a [batch, length, d] (or [batch, 1, d]) result. */
function vectorsAt(sequence: tf.Tensor3D, history: History, wanted: tf.Tensor1D): tf.Tensor2D {
  const [batch, length, d] = sequence.shape;
  const flat = tf.reshape(sequence, [batch * length, d]) as tf.Tensor2D;
  const alreadyLast = history.last !== undefined && length === 1;
  return alreadyLast ? flat : tf.gather(flat, wanted);
}

/** The vectors after histories, [wanted, d], ready to be compared with `candidates`. */
export function queries(model: Recommender, history: History, wanted: tf.Tensor1D, mode: Mode): tf.Tensor2D {
  const vectors = vectorsAt(model.sequence(history, mode), history, wanted);
  const compared = model.similarity === 'cosine' ? l2Normalize(vectors) : vectors;
  return tf.mul(compared, 1 / (model.temperature ?? 1));
}

/** Item vectors [items, d] as scores compare them. */
export function candidates(model: Recommender, items: tf.Tensor2D): tf.Tensor2D {
  return model.similarity === 'cosine' ? l2Normalize(items) : items;
}

/** A loss over what queries [targets, d] have in common with candidates [items, d]. */
export type Criterion = (queries: tf.Tensor2D, candidates: tf.Tensor2D, inputs: Inputs) => tf.Scalar;

/** Softmax cross-entropy over all items. */
const fullSoftmax: Criterion = (queries, candidates, { target, weight }) =>
  linearCrossEntropy(queries, candidates, target as tf.Tensor1D, weight as tf.Tensor1D);

export interface LossOptions {
  criterion?: Criterion;
  /** The items that a step is about; by default the catalogue. */
  items?(inputs: Inputs): Items;
}

/**
 * The training loss of one batch, a mean over its targets: softmax cross-entropy over the catalogue, item vectors computed
 * once a step; or the model's own loss. Inputs are those of `feedsOf`, or also `table`, where the items' vectors were
 * computed elsewhere.
 */
export function trainingLoss(
  model: Recommender,
  itemCount: number,
  {
    criterion = fullSoftmax,
    items: itemsOf = (inputs) => catalogue(inputs.text, itemCount),
  }: LossOptions = {},
): (inputs: Inputs) => tf.Scalar {
  const mode: Mode = { training: true };
  return (inputs) => {
    const { history, lengths } = inputs;
    const { positions, target, weight } = inputs as Record<string, tf.Tensor1D>;
    const items = itemsOf(inputs);
    const table = (inputs.table as tf.Tensor2D) ?? model.items(items, mode);
    // The input `single` says by its presence that positions are the last ones: shapes alone cannot.
    const seen = historyOf({ history, lengths, last: inputs.single && positions, table, items });
    if (!model.loss) {
      return criterion(queries(model, seen, positions, mode), candidates(model, table), inputs);
    }
    const others = inputs.augmented_text ? catalogue(inputs.augmented_text, itemCount) : items;
    const augmented = historyOf({
      history: inputs.augmented_history,
      lengths: inputs.augmented_lengths,
      last: inputs.augmented_positions,
      table: others === items ? table : model.items(others, mode),
      items: others,
    });
    const targets = selection(items, target);
    return model.loss({ history: seen, augmented, targets, targetIds: target, weight }, mode);
  };
}

const int32 = (shape: number[], data: Int32Array): HostTensor => ({ dtype: 'int32', shape, data });

/** A batch as the inputs of `trainingLoss`. */
export function feedsOf(batch: Batch, text: TextTable): Feeds {
  const { rows, length, single } = batch;
  return {
    history: int32([rows, length], batch.history),
    lengths: int32([rows], batch.lengths),
    positions: int32([batch.positions.length], batch.positions),
    target: int32([batch.target.length], batch.target),
    weight: { dtype: 'float32', shape: [batch.weight.length], data: batch.weight },
    ...(single && { single: int32([1], new Int32Array(1)) }),
    ...(text && { text }),
  };
}

/** The inputs that a model's own loss takes besides: other views of the histories. */
export function augmentedFeeds({ rows, length }: Batch, view: AugmentedHistories, text: TextTable): Feeds {
  return {
    augmented_history: int32([rows, length], view.history),
    augmented_lengths: int32([rows], view.lengths),
    augmented_positions: int32([rows], view.positions),
    ...(text && { augmented_text: text }),
  };
}
