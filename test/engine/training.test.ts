import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { seeded } from '../../common/random.ts';
import {
  compileGradients,
  cpuDevice,
  dropout,
  type Feeds,
  gelu,
  type HostTensor,
  type Inputs,
  layerNorm,
  linear,
  linearCrossEntropy,
  noise,
  normal,
  Optimizer,
  ones,
  Parameters,
  tf,
  withRandomness,
  zeros,
} from '../../engine/index.ts';
import { ints, toTensor } from './support/agree.ts';

const [ITEMS, D, BATCH, LENGTH, STEPS] = [23, 8, 4, 6, 20];

interface Model {
  name: string;
  /** Makes the variables and returns the loss of a batch. */
  build(parameters: Parameters): (inputs: Inputs) => tf.Scalar;
}

const maker = (parameters: Parameters) => ({
  weight: (name: string, ...shape: number[]) =>
    parameters.create(name, shape, normal(0.2)) as tf.Tensor as tf.Tensor2D,
  gain: (name: string) => parameters.create(name, [D], ones),
  bias: (name: string, n = D) => parameters.create(name, [n], zeros),
});

/** One causal self-attention block with two heads, a feed-forward layer, dropout everywhere, tied output. */
const transformer: Model = {
  name: 'transformer',
  build(parameters) {
    const { weight, gain, bias } = maker(parameters);
    const items = weight('items', ITEMS, D);
    const positions = weight('positions', LENGTH, D);
    const [wq, wk, wv, wo] = ['q', 'k', 'v', 'o'].map((name) => weight(name, D, D));
    const [w1, w2] = [weight('up', D, 4 * D), weight('down', 4 * D, D)];
    const [b1, b2] = [bias('up.bias', 4 * D), bias('down.bias')];
    const norms = ['in', 'attention', 'out'].map((name) => [gain(`${name}.gain`), bias(`${name}.bias`)]);
    const heads = (x: tf.Tensor) => tf.transpose(tf.reshape(x, [BATCH, LENGTH, 2, D / 2]), [0, 2, 1, 3]);
    return ({ history, target, weight }) => {
      let x: tf.Tensor = tf.add(tf.gather(items, history), positions);
      x = dropout(layerNorm(x, norms[0][0], norms[0][1]), 0.2);
      const scores = tf.mul(
        tf.matMul(heads(linear(x, wq)), heads(linear(x, wk)), false, true),
        1 / Math.sqrt(D / 2),
      );
      const causal = tf.lessEqual(tf.range(0, LENGTH), tf.expandDims(tf.range(0, LENGTH), 1));
      const attention = dropout(tf.softmax(tf.where(causal, scores, tf.scalar(-1e9))), 0.3);
      const mixed = tf.reshape(tf.transpose(tf.matMul(attention, heads(linear(x, wv))), [0, 2, 1, 3]), [
        BATCH,
        LENGTH,
        D,
      ]);
      x = layerNorm(tf.add(x, dropout(linear(mixed, wo), 0.2)), norms[1][0], norms[1][1]);
      x = layerNorm(
        tf.add(x, dropout(linear(gelu(linear(x, w1, b1)), w2, b2), 0.2)),
        norms[2][0],
        norms[2][1],
      );
      const rows = tf.reshape(x, [BATCH * LENGTH, D]) as tf.Tensor2D;
      return linearCrossEntropy(rows, items, target as tf.Tensor1D, weight as tf.Tensor1D, { chunk: 7 });
    };
  },
};

/** A gated recurrent unit, unrolled over the history, with noisy inputs and a mean over the weights. */
const gru: Model = {
  name: 'unrolled GRU',
  build(parameters) {
    const { weight, bias } = maker(parameters);
    const items = weight('items', ITEMS, D);
    const [wx, wh] = [weight('input', D, 3 * D), weight('hidden', D, 3 * D)];
    const [bx, bh] = [bias('input.bias', 3 * D), bias('hidden.bias', 3 * D)];
    return ({ history, target, weight }) => {
      const x = tf.add(dropout(tf.gather(items, history), 0.25), tf.mul(noise([BATCH, LENGTH, D]), 0.05));
      let h: tf.Tensor = tf.zeros([BATCH, D]);
      const states: tf.Tensor[] = [];
      for (const step of tf.unstack(linear(x, wx, bx), 1)) {
        const [xr, xz, xn] = tf.split(step, 3, 1);
        const [hr, hz, hn] = tf.split(linear(h, wh, bh), 3, 1);
        const update = tf.sigmoid(tf.add(xz, hz));
        const candidate = tf.tanh(tf.add(xn, tf.mul(tf.sigmoid(tf.add(xr, hr)), hn)));
        h = tf.add(tf.mul(tf.sub(1, update), candidate), tf.mul(update, h));
        states.push(h);
      }
      const rows = tf.reshape(tf.stack(states, 1), [BATCH * LENGTH, D]) as tf.Tensor2D;
      const loss = linearCrossEntropy(rows, items, target as tf.Tensor1D, weight as tf.Tensor1D);
      return tf.div(loss, tf.sum(weight)) as tf.Scalar;
    };
  },
};

function batch(step: number): Feeds {
  const rows = BATCH * LENGTH;
  const random = seeded('weights', step);
  const weight: HostTensor = {
    dtype: 'float32',
    shape: [rows],
    data: Float32Array.from({ length: rows }, () => (random.uniform() < 0.3 ? 0 : 1)),
  };
  return {
    history: ints([BATCH, LENGTH], { low: 0, high: ITEMS, seed: step }),
    target: ints([rows], { low: 0, high: ITEMS, seed: 1000 + step }),
    weight,
  };
}

const at = (step: number) => ({ seed: 42, step });
const RATE = 5e-3;

/** Losses of eager tfjs: tf.variableGrads and tf.train.adam on the cpu backend. */
function eagerLosses(model: Model): number[] {
  const parameters = new Parameters({ seed: 7 });
  const loss = model.build(parameters);
  const optimizer = tf.train.adam(RATE, 0.9, 0.999, 1e-8);
  return Array.from({ length: STEPS }, (_, step) =>
    tf.tidy(() => {
      const inputs = Object.fromEntries(Object.entries(batch(step)).map(([name, t]) => [name, toTensor(t)]));
      const { value, grads } = withRandomness(at(step), () =>
        tf.variableGrads(
          () => loss(inputs),
          parameters.all().map((p) => p.variable),
        ),
      );
      optimizer.applyGradients(Object.entries(grads).map(([name, tensor]) => ({ name, tensor })));
      return value.dataSync()[0];
    }),
  );
}

async function compiledLosses(model: Model, threads: number, simd = true): Promise<number[]> {
  const parameters = new Parameters({ seed: 7, simd });
  const loss = model.build(parameters);
  const step = compileGradients(loss, { parameters, device: cpuDevice({ threads }) });
  const optimizer = new Optimizer(parameters, { type: 'adam', learningRate: RATE });
  const losses: number[] = [];
  for (let i = 0; i < STEPS; i++) {
    losses.push((await step(batch(i), at(i))).loss.data[0]);
    optimizer.step();
  }
  await step.close();
  return losses;
}

for (const model of [transformer, gru]) {
  test(`${model.name}: ${STEPS} compiled steps with dropout have the losses of eager tfjs`, async () => {
    const expected = eagerLosses(model);
    for (const threads of [1, 2]) {
      const actual = await compiledLosses(model, threads);
      actual.forEach((loss, i) => {
        const error = Math.abs(loss / expected[i] - 1);
        assert.ok(error < 1e-5, `step ${i}, ${threads} threads: ${loss}, expected ${expected[i]}`);
      });
    }
    assert.ok(new Set(expected).size === STEPS);
  });

  test(`${model.name}: repeats itself bit for bit, with WebAssembly or without`, async () => {
    for (const threads of [1, 2]) {
      const first = await compiledLosses(model, threads);
      assert.equal(await compiledLosses(model, threads), first);
      assert.equal(await compiledLosses(model, threads, false), first);
    }
  });
}

test.run();
