import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { tf } from '../../engine/index.ts';
import { loadParameters, saveParameters } from '../checkpoint.ts';
import { candidates, catalogue, historyOf, queries } from '../objective.ts';
import { checkCompilation, checkFinite, checkGradients, someBatches } from './step-checks.ts';
import {
  type Built,
  build,
  difference,
  eagerStep,
  ITEMS,
  stepFeeds,
  stir,
  textFor,
  type Variant,
} from './variants.ts';
import { distance, ensure, guarded, history, places, type Vectors, vectorsOf } from './vectors.ts';

type Note = (text: string) => void;

/** One rule of the contract, and how it is checked. */
export interface Check {
  name: string;
  /** What must hold, in words. */
  rule: string;
  /** True where the rules after it mean nothing once this one is broken. */
  basic?: boolean;
  /**
   * @param note takes what is worth a look though the rule holds
   * @throws Broken where it does not hold
   */
  run(note?: Note): Promise<void>;
}

/** Vectors that must be equal may differ by rounding alone, as products of other shapes round otherwise. */
const EQUAL = 1e-6;
/** The padded length of the histories that are looked at. */
const LENGTH = 6;
/** What every trained model must keep: name, rule, how it is checked. */
const rules: [
  string,
  string,
  (variant: Variant, built: Built, note?: Note) => Promise<void> | void,
  basic?: 'basic',
][] = [
  ['shapes', 'a vector an item, a vector after every position, all finite', checkShapes, 'basic'],
  ['finite', 'loss and gradients are finite numbers', checkFinite, 'basic'],
  [
    'determinism',
    'a seed decides initial values and masks, else nothing is random',
    checkDeterminism,
    'basic',
  ],
  ['items', 'the vector of an item does not depend on the other items asked for', checkItems],
  ['causality', 'a later item does not change earlier vectors; an item changes its own', checkCausality],
  ['padding', 'what fills a history up changes nothing, however long it is', checkPadding],
  ['gradients', 'gradients are slopes of the loss, by finite differences', checkGradients],
  ['compilation', 'compiled loss and gradients are those of eager tfjs, with dropout too', checkCompilation],
  ['saving', 'saved and loaded, it gives the same scores', checkSaving],
];

/** The contract of a trained model, in one variant of its settings. */
export function modelChecks(variant: Variant): Check[] {
  return rules.map(([name, rule, check, basic]) => ({
    name,
    rule,
    basic: basic !== undefined,
    async run(note) {
      const built = guardedBuild(variant);
      stir(built);
      try {
        await check(variant, built, note);
      } finally {
        built.parameters.dispose();
      }
    },
  }));
}

function guardedBuild(variant: Variant, options?: Parameters<typeof build>[1]): Built {
  const built = build(variant, options);
  return { ...built, model: guarded(built.model) };
}

async function checkShapes(variant: Variant, built: Built): Promise<void> {
  ensure(built.parameters.trainable().length > 0, 'build() makes no parameter: there is nothing to train');
  // Eagerly first: what fails in the model is then said in its own words.
  scores(variant, built);
  const { items, sequence } = await vectorsOf(variant, built, [history(LENGTH), history(2)], LENGTH);
  for (const [part, values] of Object.entries({ 'items()': items, 'sequence()': sequence }))
    ensure(values.every(Number.isFinite), `${part} returned a value that is not finite`);
}

async function checkItems(variant: Variant, built: Built): Promise<void> {
  const { items, some, d } = await vectorsOf(variant, built, [history(LENGTH)], LENGTH);
  for (const [i, place] of places.entries()) {
    const off = distance(some.subarray(i * d, (i + 1) * d), items.subarray(place * d, (place + 1) * d));
    ensure(
      off < EQUAL,
      `item ${place} has another vector, by ${off}, where items() is asked for some items than for all of them; ` +
        'sampled training asks for some. Take rows of tables by items.rows(table), and mix nothing across items',
    );
  }
}

async function checkCausality(variant: Variant, built: Built): Promise<void> {
  const base = history(LENGTH);
  const { at } = await vectorsOf(variant, built, changedHistories(base), LENGTH);
  for (let k = 1; k < LENGTH; k++) {
    for (let i = 0; i < k; i++) {
      const off = distance(at(k, i), at(0, i));
      ensure(
        off < EQUAL,
        `changing item ${k} of a history changes the vector after item ${i}, by ${off}: sequence() looks ahead. ` +
          'Attention needs a causal mask; sums, means and norms must not run over positions',
      );
    }
    ensure(
      distance(at(k, k), at(0, k)) > 1e-5,
      `changing item ${k} of a history does not change the vector after it: sequence() leaves out the last item`,
    );
  }
}

/** Row k differs from row 0 at position k alone. */
export function changedHistories(base: readonly number[]): number[][] {
  return base.map((_, k) => base.map((item, i) => (i === k && k > 0 ? (item + 1) % ITEMS : item)));
}

async function checkPadding(variant: Variant, built: Built): Promise<void> {
  const base = history(LENGTH);
  const histories = [base, ...[1, 2, 5].map((n) => base.slice(0, n)), history(4, 3)];
  const near = await vectorsOf(variant, built, histories, LENGTH);
  const same = (a: Float32Array, b: Float32Array, what: string) => {
    const off = distance(a, b);
    ensure(
      off < EQUAL,
      `${what}, by ${off}: positions from history.lengths on are padding, and must not count`,
    );
  };
  for (const [row, h] of histories.entries()) {
    if (row > 0 && row < histories.length - 1)
      for (const i of h.keys())
        same(
          near.at(row, i),
          near.at(0, i),
          `a history cut after ${h.length} items has another vector after item ${i}`,
        );
    const own = near.last.subarray(row * near.d, (row + 1) * near.d);
    const off = distance(own, near.at(row, h.length - 1));
    ensure(
      off < EQUAL,
      `asked for the last vectors only (history.last), sequence() gives others, by ${off}, than after every position`,
    );
  }
  // In a longer window, and in another order.
  const wider = await vectorsOf(variant, built, histories.toReversed(), LENGTH + 3);
  for (const [row, h] of histories.entries())
    for (const i of h.keys())
      same(
        wider.at(histories.length - 1 - row, i),
        near.at(row, i),
        'the vectors of a history change with its padded length',
      );
  const alone = await vectorsOf(variant, built, [base.slice(0, 1)], 1);
  same(alone.at(0, 0), near.at(0, 0), 'a history of one item, not padded, has another vector');
  same(alone.last, alone.at(0, 0), 'a history of one item has another last vector');
}

async function checkDeterminism(variant: Variant, built: Built): Promise<void> {
  const text = textFor(variant);
  const outcome = () => {
    const anew = guardedBuild(variant, { seed: 3 });
    const feeds = stepFeeds(anew.model, someBatches(anew)[0], text, 0);
    const result = eagerStep(anew, feeds, { seed: 3, step: 1 });
    anew.parameters.dispose();
    return result;
  };
  const [one, two] = [outcome(), outcome()];
  ensure(
    one.loss === two.loss && difference(one.gradients, two.gradients).error === 0,
    `built twice with one seed, the model has losses of ${one.loss} and ${two.loss}: take initial values and random numbers ` +
      "from rec's normal, uniform, ..., dropout and noise, not from Math.random or tf.random",
  );
  const vectors: Vectors[] = [];
  for (const seed of [1, 2])
    vectors.push(await vectorsOf(variant, built, [history(LENGTH)], LENGTH, { seed }));
  for (const part of ['items', 'sequence'] as const)
    ensure(
      distance(vectors[0][part], vectors[1][part]) === 0,
      `${part}() gives other vectors each time outside of training: dropout and noise belong under mode.training`,
    );
}

async function checkSaving(variant: Variant, one: Built): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'rec-check-'));
  const path = join(folder, 'model.safetensors');
  const other = guardedBuild(variant, { seed: 2 });
  try {
    const expected = scores(variant, one);
    await saveParameters(path, one.parameters, {});
    await loadParameters(path, other.parameters);
    ensure(
      distance(scores(variant, other), expected) === 0,
      'loaded from a checkpoint, the model gives other scores: it keeps values that are not in `parameters`',
    );
  } finally {
    await rm(folder, { recursive: true });
    other.parameters.dispose();
  }
}

/** Scores of all items after two histories. */
export function scores(variant: Variant, { model }: Built): Float32Array {
  return tf.tidy(() => {
    const mode = { training: false };
    const text = textFor(variant);
    const source = catalogue(text && tf.tensor(text.data, [...text.shape]), ITEMS);
    const items = model.items(source, mode);
    const ids = tf.tensor2d([history(5), history(5, 1)], [2, 5], 'int32');
    const lengths = tf.tensor1d([5, 5], 'int32');
    const seen = historyOf({ history: ids, lengths, table: items, items: source });
    const last = queries(model, seen, tf.tensor1d([4, 9], 'int32'), mode);
    return tf.matMul(last, candidates(model, items), false, true).dataSync().slice() as Float32Array;
  });
}
