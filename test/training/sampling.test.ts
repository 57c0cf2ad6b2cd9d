import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { lossSettings } from '../../configs/train-settings.ts';
import { linearCrossEntropy, tf } from '../../engine/index.ts';
import { sampledSoftmax } from '../../training/sampled-softmax.ts';
import { ItemList, NegativeSampler } from '../../training/sampling.ts';

const counts = Int32Array.of(0, 1, 3, 16, 80);
const sampler = (loss: Record<string, unknown>) =>
  new NegativeSampler(lossSettings.parse({ type: 'sampled', ...loss }), counts, 1);
const ints = (...values: number[]) => tf.tensor1d(values, 'int32');

test('all items as negatives: the loss and gradients of the full softmax', () => {
  const h = tf.randomNormal([4, 3], 0, 1, 'float32', 1) as tf.Tensor2D;
  const items = tf.randomNormal([6, 3], 0, 1, 'float32', 2) as tf.Tensor2D;
  const target = ints(0, 5, 2, 2);
  const weight = tf.tensor1d([0.5, 0.25, 0.25, 0]);
  const inputs = { target, weight, negatives: ints(0, 1, 2, 3, 4, 5), offsets: tf.zeros([6]) };
  const losses = [
    (h: tf.Tensor, items: tf.Tensor) => sampledSoftmax(h as tf.Tensor2D, items as tf.Tensor2D, inputs),
    (h: tf.Tensor, items: tf.Tensor) =>
      linearCrossEntropy(h as tf.Tensor2D, items as tf.Tensor2D, target, weight),
  ].map((loss) => tf.valueAndGrads(loss as never)([h, items]));
  const [ours, full] = losses.map(({ value, grads }) => [value, ...grads].flatMap((t) => [...t.dataSync()]));
  ours.forEach((x, i) => {
    assert.ok(Math.abs(x - full[i]) < 1e-6, `${x} for ${full[i]}`);
  });
});

test('draws follow the weights', () => {
  const share = (loss: Record<string, unknown>) => {
    const seen = new Float64Array(counts.length);
    const drawn = sampler({ negatives: 5000, ...loss });
    for (let step = 1; step <= 10; step++)
      for (const id of drawn.draw(step, Int32Array.of(1), 1).ids) seen[id] += 1 / 50_000;
    return seen;
  };
  const close = (seen: Float64Array, weights: number[]) => {
    const sum = weights.reduce((a, b) => a + b);
    seen.forEach((x, i) => {
      assert.ok(Math.abs(x - weights[i] / sum) < 0.01, `${i}: ${x}`);
    });
  };
  close(share({ sampling: 'uniform' }), [1, 1, 1, 1, 1]);
  close(share({ sampling: 'popularity', popularityExponent: 1 }), [0, 1, 3, 16, 80]);
  close(share({ sampling: 'popularity', popularityExponent: 0.5 }), [0, 1, Math.sqrt(3), 4, Math.sqrt(80)]);
  close(share({ sampling: 'popularity', popularityExponent: 0 }), [0, 1, 1, 1, 1]);
});

test('with log-Q, negatives stand for all items: their exponentials sum to those of all on average', () => {
  const scores = [0.3, -1, 2, 0.5, -0.2];
  for (const loss of [{ sampling: 'uniform' }, { sampling: 'popularity', popularityExponent: 0.75 }]) {
    const drawn = sampler({ negatives: 8, ...loss });
    // Items that never are negatives stand for nothing.
    const possible = scores.filter((_, i) => loss.sampling === 'uniform' || counts[i] > 0);
    const all = possible.reduce((sum, s) => sum + Math.exp(s), 0);
    let mean = 0;
    for (let step = 0; step < 4000; step++) {
      const { ids, offsets } = drawn.draw(step, Int32Array.of(0), 1);
      ids.forEach((id, i) => {
        mean += Math.exp(scores[id] + offsets[i]) / 4000;
      });
    }
    assert.ok(Math.abs(mean / all - 1) < 0.03, `${mean} for ${all}`);
  }
});

test('without log-Q nothing is added', () => {
  assert.ok(
    sampler({ logQ: false })
      .draw(1, Int32Array.of(1), 1)
      .offsets.every((x) => x === 0),
  );
});

test("the batch's targets as negatives: those that only fill it are none", () => {
  const { ids, offsets } = sampler({ sampling: 'batch' }).draw(1, Int32Array.of(4, 2, 0), 2);
  assert.equal([...ids], [4, 2, 0]);
  assert.ok(Math.abs(offsets[0] + Math.log((2 * 80) / 100)) < 1e-6);
  assert.ok(Math.abs(offsets[1] + Math.log((2 * 3) / 100)) < 1e-6);
  assert.ok(offsets[2] < -1e8);
});

test('negatives are a function of seed and step', () => {
  const draw = (step: number) => [...sampler({}).draw(step, Int32Array.of(1), 1).ids];
  assert.equal(draw(3), draw(3));
  assert.not.equal(draw(3), draw(4));
});

test('an item list holds every item once, and says where each stands', () => {
  const list = new ItemList(9);
  for (let round = 0; round < 2; round++) {
    const { ids, places } = list.gather([Int32Array.of(7, 2, 7), Int32Array.of(2, 8 - round)]);
    assert.equal([...ids], [7, 2, ...(round ? [] : [8])]);
    assert.equal(
      places.map((p) => [...p]),
      [
        [0, 1, 0],
        [1, round ? 0 : 2],
      ],
    );
  }
});

test.run();
