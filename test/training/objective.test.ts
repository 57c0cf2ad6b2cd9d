import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { dropItems } from '../../data/augment.ts';
import type { Batch } from '../../data/batches.ts';
import { tf } from '../../engine/index.ts';
import { candidates, catalogue, feedsOf, historyOf, queries } from '../../training/objective.ts';
import {
  batchesOf,
  build,
  difference,
  eagerStep,
  ITEMS,
  stepFeeds,
  still,
  stir,
  textFor,
  variants,
} from '../models/support.ts';

const AT = { seed: 0, step: 0 };

/** The batch with two more rows and targets that only fill it. */
function filled(batch: Batch): Batch {
  const longer = <T extends Int32Array | Float32Array>(values: T, by: number, value: number): T => {
    const out = new (values.constructor as new (n: number) => T)(values.length + by);
    out.fill(value);
    out.set(values);
    return out;
  };
  const { rows, length, positions } = batch;
  const filling = longer(positions, 2, 0);
  if (batch.single) for (const extra of [0, 1]) filling[rows + extra] = (rows + extra) * length;
  return {
    ...batch,
    rows: rows + 2,
    history: longer(batch.history, 2 * length, 0),
    lengths: longer(batch.lengths, 2, 1),
    positions: filling,
    target: longer(batch.target, 2, 0),
    weight: longer(batch.weight, 2, 0),
  };
}

for (const variant of variants()) {
  test(`${variant.name}: what fills a batch changes neither loss nor gradients`, () => {
    const { model, parameters } = build(variant);
    const built = { model: still(model), parameters };
    stir(built);
    const text = textFor(variant);
    for (const mode of model.loss ? (['rows'] as const) : (['rows', 'grouped'] as const)) {
      const [batch] = batchesOf([5, 9, 3, 4], { mode, batchSize: 100 });
      const expected = eagerStep(built, stepFeeds(model, batch, text, 1), AT);
      const actual = eagerStep(built, stepFeeds(model, filled(batch), text, 1), AT);
      assert.ok(
        Math.abs(actual.loss - expected.loss) < 1e-6 * expected.loss,
        `${actual.loss}, not ${expected.loss}`,
      );
      assert.ok(difference(actual.gradients, expected.gradients).error < 1e-6);
    }
    parameters.dispose();
  });
}

test('targets after last items are read as such, or looked up: the same loss', () => {
  for (const variant of variants().filter((v) => !v.name.includes('pretrain'))) {
    const { model, parameters } = build(variant);
    const built = { model: still(model), parameters };
    stir(built);
    const [batch] = batchesOf([5, 9, 3, 4], { mode: 'rows', batchSize: 100 });
    const { single, ...feeds } = feedsOf(batch, textFor(variant));
    assert.ok(single);
    const expected = eagerStep(built, { ...feeds, single }, AT);
    const actual = eagerStep(built, feeds, AT);
    assert.ok(Math.abs(actual.loss - expected.loss) < 1e-6 * expected.loss, variant.name);
    assert.ok(difference(actual.gradients, expected.gradients).error < 1e-5, variant.name);
    parameters.dispose();
  }
});

test("a model's own loss sees histories, their other view, and targets (Hou et al., eq. 7-9)", () => {
  const variant = variants().find((v) => v.name === 'unisrec pretrain shared')!;
  const { model, parameters } = build({ ...variant, settings: { ...variant.settings, contrastWeight: 0.5 } });
  const built = { model: still(model), parameters };
  stir(built);
  const text = textFor(variant)!;
  const [batch] = batchesOf([5, 9, 3, 4], { mode: 'rows', batchSize: 100 });
  const actual = eagerStep(built, stepFeeds(model, batch, text, 3), AT).loss;

  // Independently: a row at a time, unpadded, then plain loops.
  const view = dropItems(batch, 0.2, 1, 3);
  const mode = { training: false };
  const unit = (x: number[]) => x.map((v) => v / Math.hypot(...x));
  const items = tf.tidy(() =>
    model.items(catalogue(tf.tensor(text.data, [...text.shape]), ITEMS), mode).arraySync(),
  );
  const encode = (ids: Int32Array) =>
    tf.tidy(() => {
      const history = tf.tensor2d(Array.from(ids), [1, ids.length], 'int32');
      const lengths = tf.tensor1d([ids.length], 'int32');
      const table = tf.tensor2d(items);
      const source = catalogue(undefined, ITEMS);
      const vectors = model.sequence(historyOf({ history, lengths, table, items: source }), mode).arraySync();
      return unit(vectors[0].at(-1)!);
    });
  const rows = Array.from({ length: batch.rows }, (_, r) => ({
    h: encode(batch.history.subarray(r * batch.length, r * batch.length + batch.lengths[r])),
    other: encode(view.history.subarray(r * batch.length, r * batch.length + view.lengths[r])),
    item: unit(items[batch.target[r]]),
    target: batch.target[r],
  }));
  assert.ok(view.lengths.some((n, r) => n < batch.lengths[r]));
  const similarity = (a: number[], b: number[]) =>
    Math.exp(a.reduce((sum, x, i) => sum + x * b[i], 0) / 0.07);
  const contrast = (key: 'item' | 'other') => {
    const losses = rows.map((one, i) => {
      const negatives = rows.filter((row, j) => j === i || row.target !== one.target);
      const all = negatives.reduce((sum, row) => sum + similarity(one.h, row[key]), 0);
      return -Math.log(similarity(one.h, one[key]) / all);
    });
    return losses.reduce((a, b) => a + b, 0) / rows.length;
  };
  const expected = contrast('item') + 0.5 * contrast('other');
  assert.ok(Math.abs(actual - expected) < 1e-5 * expected, `${actual}, not ${expected}`);
  parameters.dispose();
});

test('cosine scores are bounded by 1 / temperature, dot products are as they are', () => {
  const cosine = { similarity: 'cosine' as const, temperature: 0.1 };
  for (const [kind, expected] of [
    [cosine, 10],
    [{}, 600],
  ] as const) {
    const model = {
      ...kind,
      items: () =>
        tf.tensor2d([
          [10, 0],
          [0, 20],
        ]),
      sequence: () =>
        tf.tensor3d([
          [
            [0, 0],
            [0, 30],
          ],
        ]),
    };
    const scores = tf.tidy(() => {
      const table = model.items();
      const ids = tf.tensor2d([[0, 1]], [1, 2], 'int32');
      const history = historyOf({
        history: ids,
        lengths: tf.tensor1d([2], 'int32'),
        table,
        items: catalogue(undefined, 2),
      });
      const wanted = queries(model, history, tf.tensor1d([1], 'int32'), { training: false });
      return Array.from(tf.matMul(wanted, candidates(model, table), false, true).dataSync());
    });
    assert.is(scores[0], 0);
    assert.ok(Math.abs(scores[1] - expected) < 1e-4 * expected, String(scores));
  }
});

test('a model of ids that asks for texts is told so', () => {
  assert.throws(() => catalogue(undefined, 3).text, /reads item texts, but its definition says input: 'id'/);
});

test.run();
