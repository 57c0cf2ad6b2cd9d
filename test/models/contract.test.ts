import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Batch } from '../../data/batches.ts';
import { compile, compileGradients, type HostTensor, Optimizer, tf } from '../../engine/index.ts';
import { type CountedRecommender, models, type TrainingRows } from '../../models/index.ts';
import { loadParameters, saveParameters } from '../../training/checkpoint.ts';
import { candidates, catalogue, historyOf, queries, trainingLoss } from '../../training/objective.ts';
import { randomRows } from '../data/rows-support.ts';
import {
  type Built,
  batchesOf,
  build,
  DEVICES,
  difference,
  eagerStep,
  ITEMS,
  type LossAndGradients,
  stepFeeds,
  still,
  stir,
  textFor,
  type Variant,
  variants,
} from './support.ts';

// What every registered model must keep, in every variant of its settings. A new model is found by itself.

/** Sequences longer than the longest history (12) among them, and of one row only. */
const LENGTHS = [2, 3, 5, 15, 4, 9, 2, 3];

/** A few steps' batches: many targets a window and one, in changing shapes; a loss of the model's own takes only one. */
function someBatches({ model }: Built): Batch[] {
  const rows = batchesOf(LENGTHS, { mode: 'rows', batchSize: 12 });
  const grouped = model.loss ? [] : batchesOf(LENGTHS, { mode: 'grouped', batchSize: 14 });
  return rows.flatMap((batch, i) => [batch, ...(grouped[i] ? [grouped[i]] : [])]);
}

const int32 = (shape: number[], values: readonly number[]): HostTensor => ({
  dtype: 'int32',
  shape,
  data: Int32Array.from(values),
});

interface Vectors {
  items: HostTensor;
  /** [batch, length, d] */
  sequence: Float32Array;
  /** [batch, d] by the `last` form */
  last: Float32Array;
  d: number;
}

/** Item vectors, and sequence vectors in both forms, of histories with the given padded length. */
async function vectorsOf(
  variant: Variant,
  { model, parameters }: Built,
  histories: number[][],
  length: number,
): Promise<Vectors> {
  const text = textFor(variant);
  const mode = { training: false };
  const compiled = compile(
    ({ text, history, lengths, ends }) => {
      const source = catalogue(text, ITEMS);
      const items = model.items(source, mode);
      const inputs = { history, lengths, table: items, items: source };
      const sequence = model.sequence(historyOf(inputs), mode);
      const lastForm = model.sequence(historyOf({ ...inputs, last: ends }), mode);
      // A model may leave the last form alone: its vectors are then looked up, as training does.
      const d = lastForm.shape[2];
      const shortened = lastForm.shape[1] === 1 && length > 1;
      const flat = tf.reshape(lastForm, [-1, d]);
      return { items, sequence, last: shortened ? flat : tf.gather(flat, ends as tf.Tensor1D) };
    },
    { parameters, device: DEVICES[0] },
  );
  // Whatever lies in the padding must not matter: it is not zero here.
  const padded = histories.flatMap((h, row) => Array.from({ length }, (_, i) => h[i] ?? (row + i) % ITEMS));
  const rows = histories.length;
  const { items, sequence, last } = await compiled({
    history: int32([rows, length], padded),
    lengths: int32(
      [rows],
      histories.map((h) => h.length),
    ),
    ends: int32(
      [rows],
      histories.map((h, i) => i * length + h.length - 1),
    ),
    ...(text && { text }),
  });
  const d = items.shape[1];
  assert.equal(items.shape, [ITEMS, d]);
  assert.equal(sequence.shape, [rows, length, d]);
  assert.equal(last.shape, [rows, d]);
  const result = {
    items: { ...items, data: items.data.slice() } as HostTensor,
    sequence: sequence.data.slice() as Float32Array,
    last: last.data.slice() as Float32Array,
    d,
  };
  await compiled.close();
  return result;
}

/** The largest distance between elements. */
const distance = (a: Float32Array, b: Float32Array) =>
  a.reduce((most, x, i) => Math.max(most, Math.abs(x - b[i])), 0);

const history = (length: number, shift = 0) => Array.from({ length }, (_, i) => (i * 5 + shift) % ITEMS);

for (const variant of variants()) {
  test(`${variant.name}: vectors after every position, causal, blind to padding`, async () => {
    const built = build(variant);
    stir(built);
    const length = 6;
    const base = history(length);
    // Row k differs from row 0 at position k alone; then histories of other lengths.
    const changed = base.map((_, k) => base.map((item, i) => (i === k && k > 0 ? (item + 1) % ITEMS : item)));
    const prefixes = [1, 2, 5].map((n) => base.slice(0, n));
    const histories = [...changed, ...prefixes];
    const { sequence, last, d } = await vectorsOf(variant, built, histories, length);
    const at = (row: number, position: number) =>
      sequence.subarray((row * length + position) * d, (row * length + position + 1) * d);

    for (let k = 1; k < length; k++) {
      for (let i = 0; i < k; i++)
        assert.ok(distance(at(k, i), at(0, i)) < 1e-6, `item ${k} changes the vector after ${i}`);
      for (let i = k; i < length; i++)
        assert.ok(distance(at(k, i), at(0, i)) > 1e-5, `item ${k} does not change the vector after ${i}`);
    }
    prefixes.forEach((h, n) => {
      const row = changed.length + n;
      for (const i of h.keys())
        assert.ok(distance(at(row, i), at(0, i)) < 1e-6, `prefix of ${h.length}, after ${i}`);
    });
    histories.forEach((h, row) => {
      const own = last.subarray(row * d, (row + 1) * d);
      assert.ok(distance(own, at(row, h.length - 1)) < 1e-6, `the last form of row ${row}`);
    });

    const wider = await vectorsOf(variant, built, histories.toReversed(), length + 3);
    histories.forEach((h, row) => {
      const other = histories.length - 1 - row;
      assert.ok(
        distance(wider.last.subarray(other * d, (other + 1) * d), last.subarray(row * d, (row + 1) * d)) <
          1e-6,
        `row ${row} in a longer window`,
      );
      const from = other * (length + 3) * d;
      assert.ok(
        distance(
          wider.sequence.subarray(from, from + h.length * d),
          sequence.subarray(row * length * d, (row * length + h.length) * d),
        ) < 1e-6,
      );
    });
    const alone = await vectorsOf(variant, built, [base.slice(0, 1)], 1);
    assert.ok(distance(alone.last, at(0, 0)) < 1e-6, 'a history of one item, not padded');
    assert.ok(distance(alone.sequence, alone.last) < 1e-6);
    built.parameters.dispose();
  });

  test(`${variant.name}: compiled loss and gradients are eager ones, with dropout and noise`, async () => {
    const built = build(variant);
    stir(built);
    const text = textFor(variant);
    const batches = someBatches(built).slice(0, 2);
    const expected = batches.map((batch, i) =>
      eagerStep(built, stepFeeds(built.model, batch, text, i), { seed: 7, step: i }),
    );
    for (const device of DEVICES) {
      const step = compileGradients(trainingLoss(built.model, ITEMS), { ...built, device });
      for (const [i, batch] of batches.entries()) {
        const { loss } = await step(stepFeeds(built.model, batch, text, i), { seed: 7, step: i });
        agree({ loss: loss.data[0], gradients: gradientsOf(built) }, expected[i], 1e-5);
      }
      await step.close();
    }
    built.parameters.dispose();
  });

  test(`${variant.name}: gradients are slopes of the loss`, () => {
    const { model, parameters } = build(variant);
    const built = { model: still(model), parameters };
    stir(built);
    const text = textFor(variant);
    const feeds = stepFeeds(model, someBatches(built)[0], text, 0);
    const at = { seed: 0, step: 0 };
    const { gradients } = eagerStep(built, feeds, at);
    const trainable = parameters.trainable();
    // Along the gradient of a few parameters one by one, and of all together.
    const few = trainable.filter((_, i) => i % 5 === 0).map((p) => [p]);
    for (const group of [...few, trainable]) {
      const direction = group.map(({ name }) => gradients.get(name)!);
      const norm = Math.sqrt(direction.reduce((sum, g) => sum + g.reduce((s, x) => s + x * x, 0), 0));
      if (norm < 1e-3) continue;
      const moved = (by: number) => {
        const kept = group.map(({ values }) => values.slice());
        for (const [k, { values }] of group.entries())
          values.set(values.map((x, j) => x + (by * direction[k][j]) / norm));
        const { loss } = eagerStep(built, feeds, at);
        for (const [k, { values }] of group.entries()) values.set(kept[k]);
        return loss;
      };
      const h = 2e-3;
      const slope = (moved(h) - moved(-h)) / (2 * h);
      assert.ok(
        Math.abs(slope - norm) < 0.01 * norm + 1e-3,
        `${group.map((p) => p.name)}: slope ${slope}, gradient ${norm}`,
      );
    }
    parameters.dispose();
  });

  test(`${variant.name}: a seed decides initial values and masks`, () => {
    const text = textFor(variant);
    const outcome = (seed: number, step = 1, maskSeed = seed) => {
      const built = build(variant, { seed });
      const batch = someBatches(built)[0];
      const result = eagerStep(built, stepFeeds(built.model, batch, text, 0), { seed: maskSeed, step });
      built.parameters.dispose();
      return result;
    };
    const one = outcome(3);
    assert.equal(outcome(3), one);
    assert.is.not(outcome(4).loss, one.loss);
    assert.is.not(outcome(3, 2).loss, one.loss);
    assert.is.not(outcome(3, 1, 4).loss, one.loss);
  });

  test(`${variant.name}: saved and loaded, it gives the same scores`, async () => {
    const folder = mkdtempSync(join(tmpdir(), 'rec-models-'));
    const path = join(folder, 'model.safetensors');
    const one = build(variant, { seed: 1 });
    const other = build(variant, { seed: 2 });
    stir(one);
    try {
      const scores = ({ model }: Built) =>
        tf.tidy(() => {
          const mode = { training: false };
          const text = textFor(variant);
          const source = catalogue(text && tf.tensor(text.data, [...text.shape]), ITEMS);
          const items = model.items(source, mode);
          const ids = tf.tensor2d([history(5), history(5, 1)], [2, 5], 'int32');
          const seen = historyOf({
            history: ids,
            lengths: tf.tensor1d([5, 5], 'int32'),
            table: items,
            items: source,
          });
          const last = queries(model, seen, tf.tensor1d([4, 9], 'int32'), mode);
          return tf.matMul(last, candidates(model, items), false, true).dataSync();
        });
      const expected = scores(one);
      assert.not.equal(scores(other), expected);
      await saveParameters(path, one.parameters, {});
      await loadParameters(path, other.parameters);
      assert.equal(scores(other), expected);
    } finally {
      rmSync(folder, { recursive: true });
      one.parameters.dispose();
      other.parameters.dispose();
    }
  });

  test(`${variant.name}: twenty compiled optimizer steps are the eager ones`, async () => {
    const text = textFor(variant);
    const steps = Array.from({ length: 20 }, (_, i) => i + 1);
    // Moderate, and from values well away from zero: else Adam and LayerNorm amplify rounding from the first step on.
    const learningRate = 1e-3;
    const plainBuilt = build(variant);
    stir(plainBuilt);
    const batches = someBatches(plainBuilt);
    const feeds = (step: number) => stepFeeds(plainBuilt.model, batches[step % batches.length], text, step);
    const adam = new PlainAdam(learningRate);
    const expected = steps.map((step) => {
      const { loss, gradients } = eagerStep(plainBuilt, feeds(step), { seed: 5, step });
      adam.step(plainBuilt, gradients);
      return loss;
    });
    assert.ok(expected.some((loss) => Math.abs(loss - expected[0]) > 1e-2));
    for (const device of DEVICES) {
      const built = build(variant);
      stir(built);
      const optimizer = new Optimizer(built.parameters, { type: 'adam', learningRate });
      const compiled = compileGradients(trainingLoss(built.model, ITEMS), { ...built, device });
      for (const step of steps) {
        const { loss } = await compiled(feeds(step), { seed: 5, step });
        optimizer.step();
        const wanted = expected[step - 1];
        assert.ok(
          Math.abs(loss.data[0] - wanted) <= 1e-5 * Math.abs(wanted),
          `step ${step}: ${loss.data[0]}, eagerly ${wanted}`,
        );
      }
      await compiled.close();
      built.parameters.dispose();
    }
    plainBuilt.parameters.dispose();
  });
}

/** Training rows that share their histories' beginnings; none names the last item. */
function countingCase() {
  const { pool, rows } = randomRows(LENGTHS, 3, ITEMS - 1);
  return { itemCount: ITEMS, pool, train: rows };
}

for (const definition of models.baselines()) {
  const fit = (rows: TrainingRows) => definition.fit(definition.config.parse({}), rows);
  /** All scores after each history, one after the other with one recommender. */
  const scoresOf = ({ base, rescore }: CountedRecommender, histories: readonly number[][]) => {
    const scores = base.slice();
    return histories.map((h) => {
      const changed = rescore?.(Int32Array.from(h), scores) ?? [];
      assert.is(new Set(changed).size, changed.length, 'an item is named twice');
      const after = scores.slice();
      for (const item of changed) scores[item] = base[item];
      assert.equal(scores, base, 'a score was changed, but its item is not named');
      return after;
    });
  };
  const histories = [[], [3], [3, 3], history(5), history(40), [ITEMS - 1], history(5)];

  test(`${definition.name}: every item has a finite score, which the history alone decides`, () => {
    const rows = countingCase();
    const scores = scoresOf(fit(rows), histories);
    for (const row of scores) assert.ok(row.length === ITEMS && row.every(Number.isFinite));
    assert.equal(scores[6], scores[3]);
    assert.equal(scoresOf(fit(rows), histories.toReversed()).reverse(), scores);
  });

  test(`${definition.name}: it counts training rows only, in any order`, () => {
    const { itemCount, pool, train } = countingCase();
    const expected = scoresOf(fit({ itemCount, pool, train }), histories);
    // Without a sequence's last row, its last item lies in the pool behind the training rows: to be tested with.
    const isLast = (row: number) => train.start[row + 1] !== train.start[row];
    const kept = [...train.target.keys()].filter((row) => !isLast(row)).reverse();
    const pick = (column: Int32Array) => Int32Array.from(kept, (row) => column[row]);
    const { user, start, end, target } = train;
    const fewer = { user: pick(user), start: pick(start), end: pick(end), target: pick(target) };
    const hidden = pool.slice();
    const named = new Set(
      kept.flatMap((row) => Array.from({ length: end[row] - start[row] }, (_, i) => start[row] + i)),
    );
    for (const place of pool.keys()) if (!named.has(place)) hidden[place] = (pool[place] + 1) % ITEMS;
    assert.not.equal(hidden, pool);
    const counted = scoresOf(fit({ itemCount, pool, train: fewer }), histories);
    assert.equal(scoresOf(fit({ itemCount, pool: hidden, train: fewer }), histories), counted);
    assert.not.equal(counted, expected, 'the rows left out change nothing');
  });

  test(`${definition.name}: without training rows, all items are equal`, () => {
    const none = new Int32Array(0);
    const train = { user: none, start: none, end: none, target: none };
    for (const row of scoresOf(fit({ itemCount: ITEMS, pool: none, train }), histories))
      assert.ok(row.every((score) => score === row[0] && Number.isFinite(score)));
  });
}

/** Adam as in the paper's algorithm 1 (Kingma and Ba, 2015), in double precision. */
class PlainAdam {
  readonly #rate: number;
  #t = 0;
  readonly #moments = new Map<string, { m: Float64Array; v: Float64Array }>();

  constructor(rate: number) {
    this.#rate = rate;
  }

  step({ parameters }: Built, gradients: Map<string, Float32Array>): void {
    this.#t++;
    for (const { name, values, variable, shape } of parameters.trainable()) {
      const zero = () => new Float64Array(values.length);
      const { m, v } = this.#moments.get(name) ?? { m: zero(), v: zero() };
      this.#moments.set(name, { m, v });
      const old = variable.dataSync();
      const moved = gradients.get(name)!.map((g, i) => {
        m[i] = 0.9 * m[i] + 0.1 * g;
        v[i] = 0.999 * v[i] + 0.001 * g * g;
        return (
          old[i] -
          (this.#rate * (m[i] / (1 - 0.9 ** this.#t))) / (Math.sqrt(v[i] / (1 - 0.999 ** this.#t)) + 1e-8)
        );
      });
      variable.assign(tf.tensor(moved, [...shape]));
    }
  }
}

function gradientsOf({ parameters }: Built): Map<string, Float32Array> {
  return new Map(parameters.trainable().map(({ name }) => [name, parameters.view(name, 'gradient')]));
}

function agree(actual: LossAndGradients, expected: LossAndGradients, tolerance: number): void {
  assert.ok(
    Math.abs(actual.loss - expected.loss) <= tolerance * Math.abs(expected.loss),
    `loss ${actual.loss}, expected ${expected.loss}`,
  );
  const { error, name } = difference(actual.gradients, expected.gradients);
  assert.ok(error <= tolerance, `gradient of ${name} is off by ${error} of the largest`);
}

test.run();
