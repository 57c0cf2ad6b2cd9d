import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { UserError } from '../../../common/errors.ts';
import { seeded } from '../../../common/random.ts';
import {
  createEncoder,
  createMissing,
  type Heads,
  headShapes,
  maskedVectors,
} from '../../../encoders/pretraining/heads.ts';
import { activationBytes, partsOf, rowsWithin } from '../../../encoders/pretraining/parts.ts';
import { maskParts, type Objective, PretrainingStep } from '../../../encoders/pretraining/step.ts';
import { poolTokens, type RobertaConfig } from '../../../encoders/roberta-model.ts';
import { cpuDevice, type Feeds, l2Normalize, Parameters, tf, withRandomness } from '../../../engine/index.ts';
import { heads, objective, small, texts, vocabulary } from './support.ts';

const test = suite('pretraining step');

const all = [...texts(11, 1), ...texts(11, 2)];
const [reviews, metadata] = [all.slice(0, 11), all.slice(11)];

interface Given {
  config?: Partial<RobertaConfig>;
  objective?: Partial<Objective>;
  heads?: Partial<Heads>;
  rows: number;
  /** Reviews, then metadata. */
  sequences?: number[][];
}

/** Losses and all gradients of one step. */
async function gradientsOf({ config: twist, objective: aim, heads: head, rows, sequences = all }: Given) {
  const config = { ...small, ...twist };
  const parameters = new Parameters({ seed: 3 });
  const tops = { ...heads, ...head };
  createEncoder(parameters, config);
  createMissing(parameters, headShapes(config, tops));
  // Larger than at the start of a training: gradients of some size everywhere.
  for (const { name, values } of parameters.all()) {
    const random = seeded('larger', name);
    values.forEach((_, i) => {
      values[i] += 0.2 * random.normal();
    });
  }
  const step = new PretrainingStep({
    parameters,
    config,
    heads: tops,
    objective: { ...objective, ...aim },
    vocabulary,
    rows,
    device: cpuDevice({ threads: 1 }),
  });
  try {
    const randomness = { seed: 5, step: 1 };
    const losses = await step.run(sequences.slice(0, 11), sequences.slice(11), randomness, seeded('masks'));
    const gradients = new Map(
      parameters.trainable().map(({ name }) => [name, parameters.view(name, 'gradient').slice()]),
    );
    return { losses, gradients, parameters, config };
  } finally {
    await step.close();
  }
}

function close(
  a: ReadonlyMap<string, ArrayLike<number>>,
  b: ReadonlyMap<string, ArrayLike<number>>,
  tolerance: number,
) {
  assert.equal([...a.keys()].sort(), [...b.keys()].sort());
  const largest = (values: ArrayLike<number>) =>
    Array.from(values).reduce((most, x) => Math.max(most, Math.abs(x)), 0);
  const overall = Math.max(...[...b.values()].map(largest));
  for (const [name, values] of a) {
    const other = b.get(name)!;
    const scale = largest(other) + 1e-2 * overall;
    for (let i = 0; i < values.length; i++)
      assert.ok(
        Math.abs(values[i] - other[i]) <= tolerance * scale,
        `${name}[${i}]: ${values[i]} and ${other[i]}`,
      );
  }
}

for (const pooling of ['cls', 'mean'] as const)
  test(`cached gradients are those of one pass (${pooling})`, async () => {
    const whole = await gradientsOf({ rows: 22, heads: { pooling }, objective: { mlmWeight: 0 } });
    for (const rows of [1, 5, 21]) {
      const parted = await gradientsOf({ rows, heads: { pooling }, objective: { mlmWeight: 0 } });
      assert.ok(Math.abs(parted.losses.contrastive! - whole.losses.contrastive!) < 1e-5);
      close(parted.gradients, whole.gradients, 1e-4);
    }
  });

test('with dropout, both encodings of a part see the same masks: its gradients are those of finite differences', async () => {
  const given: Given = {
    rows: 6,
    config: { hiddenDropout: 0.3, attentionDropout: 0.3 },
    objective: { mlmWeight: 0 },
  };
  const { losses, gradients } = await gradientsOf(given);
  const again = await gradientsOf(given);
  assert.is(losses.contrastive, again.losses.contrastive);
  close(gradients, again.gradients, 0);

  // Along the gradient of some parameters, the loss rises by the square of its length.
  const name = 'encoder.layer.0.intermediate.dense.weight';
  const direction = gradients.get(name)!;
  const length = Math.sqrt(direction.reduce((sum, g) => sum + g * g, 0));
  const h = 0.002;
  const lossAt = async (move: number) => {
    const { config, parameters } = again;
    const twin = new Parameters();
    for (const p of parameters.all()) twin.create(p.name, p.shape, p.values.slice());
    const { values } = twin.get(name);
    values.forEach((_, i) => {
      values[i] += (move * direction[i]) / length;
    });
    const device = cpuDevice({ threads: 1 });
    const aim = { ...objective, mlmWeight: 0 };
    const step = new PretrainingStep({
      parameters: twin,
      config,
      heads,
      objective: aim,
      vocabulary,
      rows: 6,
      device,
    });
    const { contrastive } = await step.run(reviews, metadata, { seed: 5, step: 1 }, seeded('masks'));
    await step.close();
    return contrastive!;
  };
  const slope = ((await lossAt(h)) - (await lossAt(-h))) / (2 * h);
  assert.ok(Math.abs(slope / length - 1) < 0.02, `${slope} along the gradient, whose length is ${length}`);
});

test('the losses are the textbook ones, computed by eager tfjs', async () => {
  const { losses, parameters, config } = await gradientsOf({ rows: 22 });
  const { feeds, row } = partsOf(all, 22, config);
  const tensorOf = ({ ids, mask }: Feeds) => ({
    ids: tf.tensor2d(ids.data as Int32Array, ids.shape as [number, number], 'int32'),
    mask: tf.tensor2d(mask.data as Float32Array, mask.shape as [number, number]),
  });
  const { masked, total } = maskParts(feeds, vocabulary, objective.mlmProbability, seeded('masks'), 1);
  const expected = withRandomness({ seed: 0, step: 0 }, () =>
    tf.tidy(() => {
      const cls = poolTokens(parameters, config, tensorOf(feeds[0]), 'cls', false);
      const variable = (name: string) => parameters.get(name).variable as tf.Tensor;
      const dense = tf.add(
        tf.matMul(cls, variable('pooler.dense.weight') as tf.Tensor2D, false, true),
        variable('pooler.dense.bias'),
      );
      const vectors = tf.gather(l2Normalize(tf.tanh(dense)), tf.tensor1d(row, 'int32')) as tf.Tensor2D;
      const [a, b] = tf.split(vectors, 2) as tf.Tensor2D[];
      const logits = tf.div(tf.matMul(a, b, false, true), 0.05);
      const own = tf.sum(tf.mul(tf.logSoftmax(logits), tf.eye(11)), 1);
      const [inputs] = masked;
      const positions = inputs.positions.data as Int32Array;
      const hidden = maskedVectors(
        parameters,
        config,
        tensorOf(inputs),
        tf.tensor1d(positions.slice(0, total), 'int32'),
        false,
      );
      const words = variable('embeddings.word_embeddings.weight') as tf.Tensor2D;
      const scores = tf.add(tf.matMul(hidden, words, false, true), variable('lm_head.bias'));
      const target = tf.tensor1d((inputs.target.data as Int32Array).slice(0, total), 'int32');
      const right = tf.sum(tf.mul(tf.logSoftmax(scores), tf.oneHot(target, small.vocabSize)), 1);
      return [-tf.mean(own).dataSync()[0], -tf.mean(right).dataSync()[0]];
    }),
  );
  assert.ok(Math.abs(losses.contrastive! - expected[0]) < 1e-4, `${losses.contrastive} ${expected[0]}`);
  assert.ok(Math.abs(losses.mlm! - expected[1]) < 1e-4, `${losses.mlm} ${expected[1]}`);
});

test('masked language modelling part by part is that of the whole batch', async () => {
  // Of one length, parts of any number of rows draw the same masks.
  const same = Array.from({ length: 22 }, (_, i) => [
    0,
    ...Array.from({ length: 14 }, (_, j) => 4 + ((7 * i + j) % 50)),
    2,
  ]);
  const given = {
    sequences: same,
    objective: { contrastive: false, mlmWeight: 1 },
    heads: { pooler: 'none' as const },
  };
  const whole = await gradientsOf({ ...given, rows: 22 });
  const parted = await gradientsOf({ ...given, rows: 4 });
  assert.is(whole.losses.contrastive, undefined);
  assert.ok(Math.abs(parted.losses.mlm! - whole.losses.mlm!) < 1e-5);
  close(parted.gradients, whole.gradients, 1e-4);
});

test('parts hold every sequence once, padded to their own longest', () => {
  const { feeds, row } = partsOf(all, 5, small);
  assert.is(new Set(row).size, 22);
  const rowsOf = feeds.flatMap(({ ids, mask }) => {
    const [rows, length] = ids.shape;
    return Array.from({ length: rows }, (_, r) => {
      const at = [...mask.data.subarray(r * length, (r + 1) * length)].lastIndexOf(1) + 1;
      return [...(ids.data as Int32Array).subarray(r * length, r * length + at)];
    });
  });
  assert.is(rowsOf.length, 25);
  for (const [i, text] of all.entries()) assert.equal(rowsOf[row[i]], text);
  assert.ok(feeds.every(({ ids }, i) => i === 0 || ids.shape[1] <= feeds[i - 1].ids.shape[1]));
});

test('a budget of memory decides the rows of a part; one too small is refused', () => {
  const all = rowsWithin(1e12, 1536, 64, small);
  assert.is(all, 1536);
  const some = rowsWithin(64 * 2 ** 20, 1536, 64, { ...small, hiddenSize: 256, innerSize: 1024 });
  assert.ok(some >= 1 && some < 1536);
  const once = 2 * 1536 * activationBytes(64, small);
  assert.equal([rowsWithin(once, 1536, 64, small), rowsWithin(once, 1536, 64, small, true)], [1536, 768]);
  assert.throws(
    () => rowsWithin(1000, 1536, 64, small),
    (error: unknown) => error instanceof UserError && /raise train.memoryMb/.test(error.message),
  );
});

test.run();
