import { seeded } from '../common/random.ts';
import type { Batch } from '../data/batches.ts';
import type { TextTable } from '../training/objective.ts';

/** A training step of fixed shape: softmax over all items at `targets` positions of [batch, length] histories. */
export interface StepShape {
  name: string;
  describe: string;
  model: 'sasrec' | 'gru4rec' | 'sasrec-text' | 'unisrec';
  items: number;
  /** Width of the frozen text vectors, 0 where the model reads none. */
  textDims: number;
  batch: number;
  length: number;
  /** Divisible by `batch`; batch x length for a loss at every position. */
  targets: number;
  /** Of the model, as its configuration has them. */
  settings: Record<string, number>;
}

const sasrec = (rate = 0) => ({
  hiddenSize: 64,
  innerSize: 256,
  layers: 2,
  heads: 2,
  hiddenDropout: rate,
  attentionDropout: rate,
});
const gru4rec = (hiddenSize: number) => ({ embeddingSize: 64, hiddenSize, layers: 1, dropout: 0 });
const every = { batch: 128, length: 50, targets: 6400, textDims: 0 };
const some = { batch: 64, length: 20, targets: 512, textDims: 0 };
const texts = { ...some, textDims: 768 };

export const SHAPES: readonly StepShape[] = [
  {
    name: 'sasrec-5k',
    describe: 'SASRec, 5k items, 128 x 50, loss at all positions',
    model: 'sasrec',
    items: 5000,
    ...every,
    settings: sasrec(),
  },
  {
    name: 'sasrec-5k-dropout',
    describe: 'SASRec with dropout 0.2, 5k items, 128 x 50, loss at all positions',
    model: 'sasrec',
    items: 5000,
    ...every,
    settings: sasrec(0.2),
  },
  {
    name: 'sasrec-50k',
    describe: 'SASRec, 50k items, 64 x 20, 512 target rows',
    model: 'sasrec',
    items: 50_000,
    ...some,
    settings: sasrec(),
  },
  {
    name: 'sasrec-116k',
    describe: 'SASRec, 116k items, 64 x 20, 512 target rows',
    model: 'sasrec',
    items: 115_815,
    ...some,
    settings: sasrec(),
  },
  {
    name: 'gru4rec-5k',
    describe: 'GRU4Rec (state 64), 5k items, 128 x 50, loss at all positions',
    model: 'gru4rec',
    items: 5000,
    ...every,
    settings: gru4rec(64),
  },
  {
    name: 'gru4rec-5k-128',
    describe: 'GRU4Rec (state 128, as in RecBole), 5k items, 128 x 50, loss at all positions',
    model: 'gru4rec',
    items: 5000,
    ...every,
    settings: gru4rec(128),
  },
  {
    name: 'sasrec-text-5k',
    describe: 'SASRec(Text), 5k items with 768-wide texts, 64 x 20, 512 target rows',
    model: 'sasrec-text',
    items: 5000,
    ...texts,
    settings: { ...sasrec(), adaptorSize: 300, adaptorDropout: 0 },
  },
  {
    name: 'unisrec-5k',
    describe: 'UniSRec (8 experts, state 300), 5k items with 768-wide texts, 64 x 20, 512 target rows',
    model: 'unisrec',
    items: 5000,
    ...texts,
    settings: { ...sasrec(), hiddenSize: 300, experts: 8, adaptorDropout: 0 },
  },
];

/**
 * GFLOP of a step's matrix products. A product of [rows, in] with [in, out] is rows x in x out multiply-adds of 2
 * operations, forward; backward has two products of that size (for the input and for the matrix), so a step has three.
 * Attention counts whole [length, length] matrices: neither side leaves out the half that the causal mask hides.
 * Elementwise work, gathers and Adam are not counted: they are what keeps a step above its limit.
 */
export function gflop({ model, items, batch, length, targets, settings, textDims }: StepShape): number {
  const positions = batch * length;
  const d = settings.embeddingSize ?? settings.hiddenSize;
  const perPosition =
    model === 'gru4rec' ? recurrentProducts(settings) : transformerProducts(settings, length);
  const loss = targets * items * d;
  const { fromText, further } = adaptorProducts(settings, textDims);
  return (2 * (3 * (positions * perPosition + loss + items * further) + 2 * items * fromText)) / 1e9;
}

/** Multiply-adds an item: those of frozen texts, which need no gradient and so two products a step, and those after them. */
function adaptorProducts(
  { hiddenSize, adaptorSize, experts }: Record<string, number>,
  textDims: number,
): { fromText: number; further: number } {
  if (adaptorSize) return { fromText: textDims * adaptorSize, further: adaptorSize * hiddenSize };
  return experts
    ? { fromText: textDims * (hiddenSize + 2) * experts, further: experts * hiddenSize }
    : { fromText: 0, further: 0 };
}

/** Multiply-adds a position: query, key, value and out [d, d], two feed-forward products, logits and mix over `length`. */
function transformerProducts(
  { hiddenSize: d, innerSize, layers }: Record<string, number>,
  length: number,
): number {
  return layers * (4 * d * d + 2 * d * innerSize + 2 * length * d);
}

/** Multiply-adds a position: three gates from the input and three from the state; then the dense layer. */
function recurrentProducts({ embeddingSize, hiddenSize: h, layers }: Record<string, number>): number {
  const first = 3 * h * (embeddingSize + h);
  const further = (layers - 1) * 3 * h * (h + h);
  return first + further + h * embeddingSize;
}

/** Random text vectors [items, textDims]; undefined where the model reads none. */
export function syntheticTexts({ items, textDims }: StepShape): TextTable {
  if (!textDims) return undefined;
  const random = seeded('bench texts');
  const data = Float32Array.from({ length: items * textDims }, () => random.uniform() - 0.5);
  return { dtype: 'float32', shape: [items, textDims], data };
}

/** A batch of random full histories; its targets follow the last targets / batch positions of every row. */
export function syntheticBatch({ items, batch, length, targets }: StepShape, seed: number): Batch {
  const random = seeded(seed, 'bench');
  const ids = (count: number) => Int32Array.from({ length: count }, () => random.below(items));
  const perRow = targets / batch;
  return {
    rows: batch,
    length,
    history: ids(batch * length),
    lengths: new Int32Array(batch).fill(length),
    positions: Int32Array.from(
      { length: targets },
      (_, i) => Math.floor(i / perRow) * length + length - perRow + (i % perRow),
    ),
    target: ids(targets),
    weight: new Float32Array(targets).fill(1 / targets),
    single: false,
    targetCount: targets,
  };
}
