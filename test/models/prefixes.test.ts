import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Batches } from '../../data/batches.ts';
import { planWindows } from '../../data/windows.ts';
import { compileGradients, type HostTensor, tf } from '../../engine/index.ts';
import type { History, Items } from '../../models/index.ts';
import { feedsOf, trainingLoss } from '../../training/objective.ts';
import { randomRows } from '../data/rows-support.ts';
import {
  type Built,
  build,
  DEVICES,
  difference,
  eagerGradients,
  ITEMS,
  type LossAndGradients,
  still,
  stir,
  textFor,
  variants,
} from './support.ts';

// One causal pass over a sequence gives the loss and the gradients of one padded sample for every prefix of it.

const MAX_HISTORY = 10;
/** Sequences shorter and much longer than the longest history. */
const LENGTHS = [2, 25, 4, 11, 12, 3, 7, 2];
const { pool, rows } = randomRows(LENGTHS, 1, ITEMS);
const COUNT = rows.target.length;

/** The mean loss over all rows and its gradients: each prefix alone, cut, padded, by textbook formulas in eager tfjs. */
function plainly({ model, parameters }: Built, text: HostTensor | undefined): LossAndGradients {
  const mode = { training: false };
  const catalogue = (): Items => ({
    count: ITEMS,
    text: (text && tf.tensor2d(text.data as Float32Array, text.shape as [number, number])) as tf.Tensor2D,
    rows: (table) => table,
  });
  const unit = (x: tf.Tensor2D) =>
    model.similarity === 'cosine' ? (tf.div(x, tf.norm(x, 2, 1, true)) as tf.Tensor2D) : x;
  return eagerGradients(parameters, () => {
    const table = model.items(catalogue(), mode);
    const losses = Array.from(rows.target, (target, row) => {
      const all = Array.from(pool.subarray(rows.start[row], rows.end[row])).slice(-MAX_HISTORY);
      const ids = [...all, ...new Array(MAX_HISTORY - all.length).fill(0)];
      const flat = tf.tensor1d(ids, 'int32');
      const history: History = {
        batch: 1,
        length: MAX_HISTORY,
        vectors: tf.reshape(tf.gather(table, flat), [1, MAX_HISTORY, table.shape[1]]),
        items: {
          count: MAX_HISTORY,
          text: (text && tf.gather(catalogue().text, flat)) as tf.Tensor2D,
          rows: (t) => tf.gather(t, flat),
        },
        lengths: tf.tensor1d([all.length], 'int32'),
      };
      const vectors = model.sequence(history, mode);
      const last = tf.reshape(tf.slice(vectors, [0, all.length - 1, 0], [1, 1, -1]), [1, -1]) as tf.Tensor2D;
      const scores = tf.div(tf.matMul(unit(last), unit(table), false, true), model.temperature ?? 1);
      return tf.neg(tf.slice(tf.reshape(tf.logSoftmax(scores), [ITEMS]), [target], [1]));
    });
    return tf.div(tf.sum(tf.concat(losses)), COUNT) as tf.Scalar;
  });
}

/** The same by the trainer's own parts: an epoch of batches, summed over its targets. */
async function byBatches(
  { model, parameters }: Built,
  mode: 'rows' | 'grouped',
  text: HostTensor | undefined,
): Promise<LossAndGradients & { positions: number }> {
  const plan = new Batches(pool, planWindows(rows, MAX_HISTORY, mode), 16).epoch(1, 1);
  const step = compileGradients(trainingLoss(model, ITEMS), { parameters, device: DEVICES[1] });
  let total = 0;
  let positions = 0;
  const gradients = new Map(
    parameters.trainable().map(({ name, values }) => [name, new Float32Array(values.length)]),
  );
  for (let i = 0; i < plan.count; i++) {
    const batch = plan.batch(i);
    const { loss } = await step(feedsOf(batch, text), { seed: 1, step: i });
    total += (loss.data[0] * batch.targetCount) / COUNT;
    positions += batch.lengths.reduce((a, b) => a + b, 0);
    for (const [name, sum] of gradients)
      parameters.view(name, 'gradient').forEach((g, j) => {
        sum[j] += (g * batch.targetCount) / COUNT;
      });
  }
  await step.close();
  return { loss: total, gradients, positions };
}

for (const variant of variants()) {
  test(`${variant.name}: one pass a window is one sample a prefix`, async () => {
    const built = build(variant, { maxHistory: MAX_HISTORY });
    stir(built);
    const text = textFor(variant);
    const { loss: _own, ...framework } = built.model;
    const quiet = { ...built, model: still(framework) };
    const expected = plainly(quiet, text);
    const asRows = await byBatches(quiet, 'rows', text);
    const grouped = await byBatches(quiet, 'grouped', text);
    assert.ok(grouped.positions < asRows.positions);
    for (const [name, actual] of Object.entries({ rows: asRows, grouped })) {
      assert.ok(
        Math.abs(actual.loss - expected.loss) < 2e-6 * expected.loss,
        `${name}: loss ${actual.loss}, not ${expected.loss}`,
      );
      const worst = difference(actual.gradients, expected.gradients);
      assert.ok(
        worst.error < 1e-5,
        `${name}: gradient of ${worst.name} is off by ${worst.error} of the largest`,
      );
    }
    built.parameters.dispose();
  });
}

test.run();
