import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { seeded } from '../../common/random.ts';
import type { Rows } from '../../data/dataset.ts';
import { tf } from '../../engine/index.ts';
import { ModelScorer } from '../../training/scorer.ts';
import { columns } from '../data/rows-support.ts';
import {
  type Built,
  build,
  DEVICES,
  ITEMS,
  stir,
  textFor,
  type Variant,
  variants,
} from '../models/support.ts';
import { randomDataset, variantNamed } from './support.ts';

const MAX_HISTORY = 12;

/** Scores of one row by eager tfjs: its last items alone, unpadded. */
function eagerScores(
  variant: Variant,
  { model }: Built,
  pool: Int32Array,
  { start, end }: Rows,
  row: number,
): Float32Array {
  const text = textFor(variant);
  return tf.tidy(() => {
    const mode = { training: false };
    const texts = text && tf.tensor2d(text.data as Float32Array, text.shape as [number, number]);
    const table = model.items({ count: ITEMS, text: texts!, rows: (t) => t }, mode);
    const ids = tf.tensor1d(Array.from(pool.subarray(start[row], end[row])).slice(-MAX_HISTORY), 'int32');
    const length = ids.size;
    const vectors = model.sequence(
      {
        batch: 1,
        length,
        vectors: tf.expandDims(tf.gather(table, ids), 0) as tf.Tensor3D,
        items: {
          count: length,
          text: texts && tf.gather(texts, ids),
          rows: (t: tf.Tensor2D) => tf.gather(t, ids),
        } as never,
        lengths: tf.tensor1d([length], 'int32'),
      },
      mode,
    );
    const last = tf.slice(vectors, [0, length - 1, 0], [1, 1, -1]);
    const unit = (x: tf.Tensor) => (model.similarity === 'cosine' ? tf.div(x, tf.norm(x, 2, -1, true)) : x);
    const query = tf.reshape(unit(last), [1, -1]);
    const scores = tf.div(tf.matMul(query, unit(table), false, true), model.temperature ?? 1);
    return scores.dataSync() as Float32Array;
  });
}

const close = (a: Float32Array, b: Float32Array) =>
  a.length === b.length && a.every((x, i) => Math.abs(x - b[i]) < 1e-5 * (1 + Math.abs(b[i])));

for (const variant of variants()) {
  test(`${variant.name}: scores are items times query, rows of mixed lengths in their order`, async () => {
    const built = build(variant, { maxHistory: MAX_HISTORY });
    stir(built);
    const dataset = randomDataset([4, 30, 2, 9, 14]);
    const random = seeded('order');
    const order = random.shuffle(Array.from(dataset.test.target.keys()));
    const { start, end, target } = dataset.test;
    const rows = columns(order.map((i) => ({ start: start[i], end: end[i], target: target[i] })));
    const scorer = new ModelScorer(built.model, dataset, textFor(variant), MAX_HISTORY, {
      ...built,
      device: DEVICES[1],
    });
    await scorer.refresh();
    // In tiles, as ranking asks for them.
    const scores: Float32Array[] = [];
    for (let first = 0; first < order.length; first += 7) {
      const count = Math.min(7, order.length - first);
      const tile = await scorer.score(rows, first, count);
      assert.is(tile.length, count * ITEMS);
      for (let i = 0; i < count; i++) scores.push(tile.slice(i * ITEMS, (i + 1) * ITEMS));
    }
    const expected = order.map((_, row) => eagerScores(variant, built, dataset.pool, rows, row));
    for (const [row, own] of scores.entries()) assert.ok(close(own, expected[row]), `row ${row}`);
    assert.not.ok(close(scores[0], scores[1]));
    await scorer.close();
    built.parameters.dispose();
  });
}

test('many rows, in several batches of encoding, and two splits in turn', async () => {
  const variant = variantNamed('sasrec');
  const built = build(variant, { maxHistory: MAX_HISTORY });
  stir(built);
  const random = seeded('many');
  const dataset = randomDataset(Array.from({ length: 120 }, () => 2 + random.below(25)));
  const rows = dataset.test;
  assert.ok(rows.target.length > 1100);
  const few = columns([{ start: 0, end: 1, target: 2 }]);
  const scorer = new ModelScorer(built.model, dataset, undefined, MAX_HISTORY, {
    ...built,
    device: DEVICES[0],
  });
  await scorer.refresh();
  for (const row of [0, 511, 512, 777, rows.target.length - 1]) {
    const own = (await scorer.score(rows, row, 1)).slice();
    assert.ok(close(own, eagerScores(variant, built, dataset.pool, rows, row)), `row ${row}`);
    assert.ok(
      close((await scorer.score(few, 0, 1)).slice(), eagerScores(variant, built, dataset.pool, few, 0)),
    );
  }
  await scorer.close();
  built.parameters.dispose();
});

test('a row has the same scores to the last bit, alone and among others', async () => {
  const { definition } = variantNamed('sasrec');
  const built = build({ name: 'wide', definition, settings: {} }, { maxHistory: MAX_HISTORY });
  const dataset = randomDataset([4, 30, 9]);
  const scorer = new ModelScorer(built.model, dataset, undefined, MAX_HISTORY, {
    ...built,
    device: DEVICES[1],
  });
  await scorer.refresh();
  const tile = (await scorer.score(dataset.test, 0, 30)).slice();
  for (const count of [1, 2, 3, 16])
    assert.equal(
      (await scorer.score(dataset.test, 5, count)).slice(),
      tile.slice(5 * ITEMS, (5 + count) * ITEMS),
    );
  await scorer.close();
  built.parameters.dispose();
});

test('changed parameters count after a refresh', async () => {
  const variant = variantNamed('unisrec inductive shared');
  const built = build(variant, { maxHistory: MAX_HISTORY });
  stir(built);
  const dataset = randomDataset([4, 9]);
  const scorer = new ModelScorer(built.model, dataset, textFor(variant), MAX_HISTORY, {
    ...built,
    device: DEVICES[0],
  });
  const score = async () => (await scorer.score(dataset.test, 0, 3)).slice();
  await scorer.refresh();
  const before = await score();
  stir(built);
  assert.ok(close(await score(), before));
  await scorer.refresh();
  const after = await score();
  assert.not.ok(close(after, before));
  assert.ok(close(after.slice(0, ITEMS), eagerScores(variant, built, dataset.pool, dataset.test, 0)));
  await scorer.close();
  built.parameters.dispose();
});

test.run();
