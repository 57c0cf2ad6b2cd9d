import { test } from 'uvu';
import * as assert from 'uvu/assert';
import {
  type CrossEntropyOptions,
  compile,
  compileGradients,
  dropout,
  gelu,
  type HostTensor,
  l2Normalize,
  layerNorm,
  linear,
  linearCrossEntropy,
  noise,
  Parameters,
  tensorOf,
  tf,
} from '../../engine/index.ts';
import {
  agrees,
  type Case,
  close,
  eagerly,
  floats,
  ints,
  intVector,
  vector,
  withGradients,
} from './support/agree.ts';

type Op = Case['fn'];

/** Checks an op of ours, eager and compiled, with its gradients, against plain tf operations and tfjs's own gradients. */
async function equivalent(ours: Op, plain: Op, inputs: HostTensor[], tolerance = 1e-5): Promise<void> {
  const feeds = Object.fromEntries(inputs.map((t, i) => [`x${i}`, t]));
  const of = (fn: Op) => withGradients({ name: '', fn, inputs });
  const expected = eagerly(of(plain), feeds);
  const eager = eagerly(of(ours), feeds);
  for (const name of Object.keys(expected)) close(eager[name], expected[name], tolerance, `eager ${name}`);
  await agrees(of(ours), feeds, tolerance, expected);
}

/** The slope of f at every element of x, by central differences in float64. */
function slopes(f: (x: number[]) => number, x: ArrayLike<number>, width = 1e-5): number[] {
  return Array.from(x, (_, i) => {
    const at = (shift: number) => f(Array.from(x, (v, j) => (i === j ? v + shift : v)));
    return (at(width) - at(-width)) / (2 * width);
  });
}

const plainLayerNorm =
  (epsilon: number): Op =>
  (x, scale, offset) => {
    const centred = tf.sub(x, tf.mean(x, -1, true));
    const variance = tf.mean(tf.square(centred), -1, true);
    return tf.add(tf.mul(tf.div(centred, tf.sqrt(tf.add(variance, epsilon))), scale), offset);
  };

for (const shape of [[6], [4, 6], [2, 3, 8], [1, 5], [64, 64]]) {
  test(`layerNorm [${shape}] and its three gradients`, () => {
    const d = shape.at(-1)!;
    const inputs = [floats(shape), floats([d], { seed: 2 }), floats([d], { seed: 3 })];
    return Promise.all([
      equivalent((x, s, o) => layerNorm(x, s, o), plainLayerNorm(1e-12), inputs, 1e-4),
      equivalent((x, s, o) => layerNorm(x, s, o, 0.1), plainLayerNorm(0.1), inputs, 1e-4),
    ]).then(() => {});
  });
}

test('layerNorm of a constant row is the offset', async () => {
  const x = { ...floats([3, 4]), data: new Float32Array(12).fill(7) };
  await equivalent((x, s, o) => layerNorm(x, s, o, 1e-5), plainLayerNorm(1e-5), [
    x,
    floats([4]),
    floats([4], { seed: 2 }),
  ]);
});

test('gelu, its values and its slope', async () => {
  const plain: Op = (x) => tf.mul(x, tf.mul(tf.add(tf.erf(tf.div(x, Math.SQRT2)), 1), 0.5));
  for (const shape of [[], [7], [3, 4, 5]])
    await equivalent((x) => gelu(x), plain, [floats(shape, { low: -6, high: 6 })]);
  // x Phi(x) from tables of the normal distribution.
  const { y } = eagerly(({ x }) => ({ y: gelu(x) }), { x: vector(-3, -1, 0, 0.5, 1, 2) });
  const known = [-0.0040497, -0.1586553, 0, 0.3457312, 0.8413447, 1.9544997];
  known.forEach((value, i) => {
    assert.ok(Math.abs(y.data[i] - value) < 1e-6, `${y.data[i]} is not ${value}`);
  });
});

test('gelu far from zero: its slope is 0 or 1, never not-a-number', async () => {
  const x = vector(-1e6, -100, -13, 13, 100, 1e6);
  const slope = withGradients({ name: '', fn: (x) => gelu(x), inputs: [x] });
  const { 'sum/dx0': eager } = eagerly(slope, { x0: x });
  assert.equal(
    [...eager.data].map((v) => Math.abs(Math.round(v))),
    [0, 0, 0, 1, 1, 1],
  );
  await agrees(slope, { x0: x });
});

test('l2Normalize: rows of length one, and their gradient', async () => {
  const plain: Op = (x) => tf.div(x, tf.norm(x, 'euclidean', -1, true));
  for (const shape of [[5], [4, 6], [2, 3, 4]])
    await equivalent((x) => l2Normalize(x), plain, [floats(shape)]);
  await equivalent((x) => l2Normalize(x), plain, [floats([4, 6], { low: -1e-3, high: 1e-3 })], 1e-3);
});

test('l2Normalize: a zero row stays zero and has a zero gradient', async () => {
  const x = floats([3, 4]);
  x.data.fill(0, 4, 8);
  const fn = withGradients({ name: '', fn: (x) => l2Normalize(x), inputs: [x] });
  const results = eagerly(fn, { x0: x });
  for (const { data } of Object.values(results))
    assert.equal([...data.subarray(4, 8)].map(Math.abs), [0, 0, 0, 0]);
  await agrees(fn, { x0: x });
});

const plainCrossEntropy: Op = (h, items, target, weight) => {
  const logits = tf.matMul(h as tf.Tensor2D, items as tf.Tensor2D, false, true);
  const hit = tf.sum(tf.mul(logits, tf.oneHot(target, items.shape[0], 1, 0, 'float32')), 1);
  return tf.sum(tf.mul(tf.sub(tf.logSumExp(logits, 1), hit), weight));
};
/** Our loss of (h, items), targets and weights given as data (its weights have no gradient). */
const crossEntropy =
  (target: HostTensor, weight: HostTensor, options: CrossEntropyOptions = {}) =>
  (op: 'ours' | 'plain'): Op =>
  (h, items) => {
    const t = tensorOf(target) as tf.Tensor1D;
    const w = tensorOf(weight) as tf.Tensor1D;
    return op === 'plain'
      ? plainCrossEntropy(h, items, t, w)
      : linearCrossEntropy(h as tf.Tensor2D, items as tf.Tensor2D, t, w, options);
  };
const rows = (low: number, high: number) => ints([8], { low, high });
const CROSS_ENTROPIES: { what: string; target: HostTensor; weight: HostTensor }[] = [
  { what: 'targets all over', target: rows(0, 11), weight: floats([8], { low: 0, high: 2 }) },
  { what: 'one target repeated', target: rows(4, 5), weight: floats([8], { low: 0, high: 2 }) },
  { what: 'some weights zero', target: rows(0, 11), weight: vector(0, 1, 0, 0.5, 1, 0, 0, 2) },
  { what: 'all weights zero', target: rows(0, 11), weight: vector(0, 0, 0, 0, 0, 0, 0, 0) },
  {
    what: 'first and last item',
    target: intVector(0, 10, 0, 10, 0, 10, 0, 10),
    weight: floats([8], { low: 0 }),
  },
];
for (const { what, target, weight } of CROSS_ENTROPIES) {
  test(`linearCrossEntropy, ${what}: any number of rows at once`, async () => {
    const inputs = [floats([8, 5]), floats([11, 5], { seed: 2 })];
    for (const chunk of [undefined, 1, 3, 4, 7, 8, 100]) {
      const loss = crossEntropy(target, weight, { chunk });
      await equivalent(loss('ours'), loss('plain'), inputs);
    }
  });
  test(`linearCrossEntropy, ${what}: tile by tile`, async () => {
    const loss = crossEntropy(target, weight, { form: 'tiles' });
    await equivalent(loss('ours'), loss('plain'), [floats([8, 5]), floats([11, 5], { seed: 2 })]);
    // More items than a tile holds, and logits of another size in every row.
    const many = [floats([8, 5], { low: -6, high: 9 }), floats([700, 5], { seed: 2 })];
    await equivalent(loss('ours'), loss('plain'), many);
  });
}

test('linearCrossEntropy of huge logits: finite, with the right gradient', async () => {
  const h = floats([8, 5], { low: -50, high: 50 });
  const items = floats([11, 5], { low: -20, high: 20, seed: 2 });
  const best = eagerly(
    ({ h, items }) => ({ y: tf.argMax(tf.matMul(h as tf.Tensor2D, items as tf.Tensor2D, false, true), 1) }),
    { h, items },
  ).y;
  const loss = crossEntropy(best, vector(1, 1, 1, 1, 1, 1, 1, 1), { chunk: 3 });
  await equivalent(loss('ours'), loss('plain'), [h, items], 1e-4);
});

test('linearCrossEntropy: a row whose target has no probability left counts 69 nats, and still learns', () => {
  const inputs = {
    x0: { ...floats([1, 1]), data: Float32Array.of(1000) },
    x1: { ...floats([2, 1]), data: Float32Array.of(1, -1) },
  };
  const loss = crossEntropy(intVector(1), vector(1))('ours');
  const results = eagerly(withGradients({ name: '', fn: loss, inputs: Object.values(inputs) }), inputs);
  assert.ok(Math.abs(results.y0.data[0] + Math.log(1e-30)) < 1e-3);
  assert.equal([...results['sum/dx0'].data], [2]); // softmax . items - items[target] = 1 - (-1)
});

test('linearCrossEntropy: compiled gradients equal central differences', async () => {
  const [rowCount, d, count] = [5, 3, 7];
  const target = [0, 3, 3, 6, 2];
  const weight = [1, 0.5, 2, 0, 1];
  const parameters = new Parameters();
  const h = parameters.create('h', [rowCount, d], floats([rowCount, d]).data as Float32Array);
  const items = parameters.create('items', [count, d], floats([count, d], { seed: 2 }).data as Float32Array);
  const step = compileGradients(
    ({ target, weight }) =>
      linearCrossEntropy(
        h as tf.Tensor2D,
        items as tf.Tensor2D,
        target as tf.Tensor1D,
        weight as tf.Tensor1D,
        { chunk: 2 },
      ),
    { parameters, threads: 1 },
  );
  await step({ target: intVector(...target), weight: vector(...weight) });
  const exact = (h: ArrayLike<number>, items: ArrayLike<number>) => {
    let loss = 0;
    for (let r = 0; r < rowCount; r++) {
      const logits = Array.from({ length: count }, (_, i) => {
        let dot = 0;
        for (let j = 0; j < d; j++) dot += h[r * d + j] * items[i * d + j];
        return dot;
      });
      loss += weight[r] * (Math.log(logits.reduce((sum, x) => sum + Math.exp(x), 0)) - logits[target[r]]);
    }
    return loss;
  };
  const [x, y] = [parameters.get('h').values, parameters.get('items').values];
  const compare = (name: string, expected: number[]) =>
    close(
      { dtype: 'float32', shape: [expected.length], data: parameters.view(name, 'gradient') },
      vector(...expected),
      1e-5,
      name,
    );
  compare(
    'h',
    slopes((h) => exact(h, y), x),
  );
  compare(
    'items',
    slopes((items) => exact(x, items), y),
  );
  await step.close();
});

test('dropout zeroes, rescales, and passes the gradient through the same mask', () => {
  const x = { ...floats([40, 50]), data: new Float32Array(2000).fill(3) };
  const { y, dx } = eagerly(
    ({ x }) => {
      const { value, grad } = tf.valueAndGrad((x) => tf.sum(dropout(x, 0.25)))(x);
      return { y: tf.add(value, 0), dx: grad };
    },
    { x },
  );
  const kept = dx.data.filter((g) => g !== 0);
  assert.ok(kept.every((g) => g === Math.fround(1 / 0.75)));
  assert.ok(kept.length > 1400 && kept.length < 1600);
  assert.ok(Math.abs(y.data[0] - kept.length * 4) < 0.5);
});

test('dropout of nothing is nothing; a rate that leaves nothing is refused', () => {
  const x = tf.ones([3]);
  assert.is(dropout(x, 0), x);
  for (const rate of [1, 1.5, Number.NaN, -0.1]) assert.throws(() => dropout(x, rate), /rate/);
});

test('noise differs between calls of one step', async () => {
  const both = compile(() => ({ a: noise([8]), b: noise([8]) }), { threads: 1 });
  const { a, b } = await both({});
  assert.ok([...a.data].every((v, i) => v !== b.data[i]));
  await both.close();
});

test('linear flattens its leading axes', async () => {
  const plain: Op = (x, w, b) => tf.add(tf.sum(tf.mul(tf.expandDims(x, -1), w), -2), b);
  for (const shape of [
    [3, 4],
    [2, 3, 4],
    [2, 2, 3, 4],
  ])
    await equivalent((x, w, b) => linear(x, w as tf.Tensor2D, b), plain, [
      floats(shape),
      floats([4, 5], { seed: 2 }),
      floats([5]),
    ]);
});

test('a model may mask by its own values: comparisons have the gradient zero', async () => {
  const masks: Op[] = [
    (x) => tf.where(tf.greater(x, 0), x, tf.mul(x, 0.1)),
    (x) => tf.where(tf.logicalNot(tf.lessEqual(x, 0)), x, tf.mul(x, 0.1)),
    (x) => tf.where(tf.logicalAnd(tf.greaterEqual(x, 0), tf.notEqual(x, 0)), x, tf.mul(x, 0.1)),
    (x) =>
      tf.mul(x, tf.add(tf.mul(tf.cast(tf.logicalOr(tf.less(0, x), tf.equal(x, 9)), 'float32'), 0.9), 0.1)),
  ];
  for (const mask of masks) await equivalent(mask, (x) => tf.leakyRelu(x, 0.1), [floats([4, 5])]);
});

test.run();
