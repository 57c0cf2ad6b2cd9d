import { test } from 'uvu';
import * as assert from 'uvu/assert';
import {
  compile,
  compileGradients,
  cpuDevice,
  gradientOf,
  type HostTensor,
  l2Normalize,
  normal,
  Optimizer,
  ones,
  Parameters,
  tf,
  zeros,
} from '../../engine/index.ts';
import { close, floats, intVector, vector } from './support/agree.ts';

const cpu = cpuDevice({ threads: 1 });
const flat = (t: HostTensor): HostTensor => ({ ...t, shape: [t.data.length] });
const list = (t: HostTensor) => [...t.data];

test('a compiled function leaves nothing on the host backend', async () => {
  const parameters = new Parameters();
  const w = parameters.create('w', [3], ones);
  const before = tf.memory().numTensors;
  const f = compileGradients(({ x }) => tf.sum(tf.mul(tf.softmax(x), w)) as tf.Scalar, {
    parameters,
    device: cpu,
  });
  const made = tf.memory().numTensors;
  for (const n of [1, 2, 3]) await f({ x: floats([n, 3]) });
  assert.is(tf.memory().numTensors, made);
  assert.ok(made - before <= 1, 'moving into the arena may keep one handle');
  assert.is(tf.getBackend(), 'cpu');
  await f.close();
});

test('host tensors and variables outlive any number of traces that clone and save them', async () => {
  const parameters = new Parameters();
  const w = parameters.create('w', [2], ones);
  const outside = tf.tensor1d([1, 2]);
  const model = () => tf.sum(tf.mul(tf.mul(tf.clone(w), tf.mul(w, outside)), tf.clone(outside))) as tf.Scalar;
  for (let i = 0; i < 5; i++) {
    const loss = compileGradients(model, { parameters, device: cpu });
    await loss({});
    await loss.close();
    assert.equal([...w.dataSync()], [1, 1]);
    assert.equal([...outside.dataSync()], [1, 2]);
  }
  assert.equal([...parameters.view('w', 'gradient')], [2, 8]);
});

/** A model of three parameters, one frozen, and two losses that reach different ones. */
function model() {
  const parameters = new Parameters({ seed: 3 });
  const a = parameters.create('a', [3], normal(1));
  const b = parameters.create('b', [2, 2], normal(1));
  const frozen = parameters.create('frozen', [3], ones, { trainable: false });
  const lossA = compileGradients(({ x }) => tf.sum(tf.mul(tf.mul(x, a), frozen)) as tf.Scalar, {
    parameters,
    device: cpu,
  });
  const lossB = compileGradients(({ x }) => tf.mul(tf.sum(b), tf.sum(x)) as tf.Scalar, {
    parameters,
    device: cpu,
  });
  const gradient = (name: string) => [...parameters.view(name, 'gradient')];
  return { parameters, a, b, frozen, lossA, lossB, gradient };
}

test('gradients of parameters that a loss does not reach are zero, whatever was there', async () => {
  const { lossA, lossB, gradient } = model();
  await lossA({ x: vector(1, 2, 3) });
  assert.equal(
    [gradient('a'), gradient('b')],
    [
      [1, 2, 3],
      [0, 0, 0, 0],
    ],
  );
  await lossB({ x: vector(1, 2) });
  assert.equal(
    [gradient('a'), gradient('b')],
    [
      [0, 0, 0],
      [3, 3, 3, 3],
    ],
  );
  await lossA({ x: vector(4, 5, 6) });
  assert.equal(
    [gradient('a'), gradient('b')],
    [
      [4, 5, 6],
      [0, 0, 0, 0],
    ],
  );
  await Promise.all([lossA.close(), lossB.close()]);
});

test('a loss that reaches a parameter in one shape only', async () => {
  const parameters = new Parameters();
  const a = parameters.create('a', [1], ones);
  const b = parameters.create('b', [1], ones);
  const loss = compileGradients(
    ({ x }) => tf.sum(tf.mul(x, x.shape[0] > 1 ? tf.add(a, b) : a)) as tf.Scalar,
    { parameters, device: cpu },
  );
  const gradients = () => [parameters.view('a', 'gradient')[0], parameters.view('b', 'gradient')[0]];
  await loss({ x: vector(2, 3) });
  assert.equal(gradients(), [5, 5]);
  await loss({ x: vector(2) });
  assert.equal(gradients(), [2, 0]);
  await loss.close();
});

test('frozen parameters have no gradient and do not move', async () => {
  const { parameters, lossA, frozen } = model();
  assert.throws(() => parameters.view('frozen', 'gradient'), /not trained/);
  const optimizer = new Optimizer(parameters, { type: 'adam', learningRate: 1 });
  await lossA({ x: vector(1, 2, 3) });
  optimizer.step();
  assert.equal([...parameters.get('frozen').values], [1, 1, 1]);
  assert.equal([...frozen.dataSync()], [1, 1, 1]);
  assert.is(parameters.size, 7);
  await lossA.close();
});

test('results hold the loss, not the gradients', async () => {
  const { lossA } = model();
  assert.equal(Object.keys(await lossA({ x: vector(1, 2, 3) })), ['loss']);
  await lossA.close();
});

for (const first of ['inference', 'training'] as const) {
  test(`inference sees what the optimizer does; compiled first: ${first}`, async () => {
    const parameters = new Parameters({ seed: 1 });
    const w = parameters.create('w', [4, 3], normal(0.5));
    const predict = compile(({ x }) => ({ y: tf.matMul(x as tf.Tensor2D, w as tf.Tensor2D) }), {
      parameters,
      device: cpu,
    });
    const x = floats([2, 4]);
    const expected = () =>
      list(
        tf.tidy(() => {
          const y = tf.matMul(tf.tensor(x.data, [2, 4]) as tf.Tensor2D, w as tf.Tensor2D);
          return { dtype: 'float32', shape: y.shape, data: y.dataSync() as Float32Array };
        }),
      );
    const check = async () => {
      const actual = list((await predict({ x })).y);
      expected().forEach((v, i) => {
        assert.ok(Math.abs(v - actual[i]) < 1e-6, `${v} ${actual[i]}`);
      });
      return actual;
    };
    if (first === 'inference') await check();
    const step = compileGradients(
      ({ x }) => tf.sum(tf.square(tf.matMul(x as tf.Tensor2D, w as tf.Tensor2D))) as tf.Scalar,
      { parameters, device: cpu },
    );
    const optimizer = new Optimizer(parameters, { type: 'adam', learningRate: 0.1 });
    let last = await check();
    for (let i = 0; i < 3; i++) {
      await step({ x });
      optimizer.step();
      const now = await check();
      assert.not.equal(now, last);
      last = now;
    }
    await Promise.all([predict.close(), step.close()]);
  });
}

test('values that are assigned to a variable, before or after compiling and training, are used', async () => {
  const parameters = new Parameters();
  const w = parameters.create('w', [2], zeros);
  const fixed = parameters.create('fixed', [2], zeros, { trainable: false });
  const read = compile(() => ({ y: tf.add(w, fixed) }), { parameters, device: cpu });
  const at = async () => list((await read({})).y);
  w.assign(tf.tensor1d([1, 2]));
  assert.equal(await at(), [1, 2]);
  w.assign(tf.tensor1d([3, 4]));
  fixed.assign(tf.tensor1d([10, 20]));
  const loss = compileGradients(({ x }) => tf.sum(tf.mul(x, w)) as tf.Scalar, { parameters, device: cpu });
  assert.equal(await at(), [13, 24]);
  assert.equal(list((await loss({ x: vector(1, 1) })).loss), [7]);
  w.assign(tf.tensor1d([5, 6]));
  assert.equal(await at(), [15, 26]);
  assert.equal([...parameters.get('w').values], [5, 6]);
  assert.equal([...parameters.snapshot().get('fixed')!.data], [10, 20]);
  parameters.get('w').values.set([7, 8]);
  assert.equal([...w.dataSync()], [7, 8]);
  assert.equal(await at(), [17, 28]);
  await Promise.all([read.close(), loss.close()]);
});

test('a zero row of a table passes no gradient through l2Normalize', async () => {
  const parameters = new Parameters();
  const table = parameters.create('table', [3, 2], Float32Array.of(0, 0, 3, 4, 1, 0));
  const loss = compileGradients(({ x }) => tf.sum(tf.mul(l2Normalize(table), x)) as tf.Scalar, {
    parameters,
    device: cpu,
  });
  await loss({ x: floats([3, 2]) });
  assert.equal([...parameters.view('table', 'gradient')].slice(0, 2).map(Math.abs), [0, 0]);
  assert.ok([...parameters.view('table', 'gradient')].every(Number.isFinite));
  await loss.close();
});

test('gradients of inputs: results, one buffer for all shapes of the others', async () => {
  const parameters = new Parameters();
  const w = parameters.create('w', [3, 2], floats([3, 2]).data as Float32Array);
  const loss = compileGradients(
    ({ x, rows }) =>
      tf.sum(tf.mul(tf.matMul(tf.gather(x, rows as tf.Tensor1D), w as tf.Tensor2D), 2)) as tf.Scalar,
    { parameters, device: cpu, inputs: ['x'] },
  );
  const x = floats([4, 3], { seed: 2 });
  const expected = (row: number, times: number) =>
    [0, 1, 2].map((j) => 2 * times * (w.dataSync()[2 * j] + w.dataSync()[2 * j + 1]) * (row < 0 ? 0 : 1));
  const first = (await loss({ x, rows: intVector(1, 1, 3) }))[gradientOf('x')];
  close(
    flat(first),
    vector(...[expected(-1, 0), expected(1, 2), expected(-1, 0), expected(3, 1)].flat()),
    1e-5,
  );
  const second = (await loss({ x, rows: intVector(0) }))[gradientOf('x')];
  assert.is(second.data, first.data);
  close(
    flat(second),
    vector(...[expected(0, 1), expected(-1, 0), expected(-1, 0), expected(-1, 0)].flat()),
    1e-5,
  );
  await loss.close();
});

test('gradients that accumulate add to those that lie there, scattered ones too', async () => {
  const parameters = new Parameters();
  const [w, table] = ['w', 'table'].map((name) =>
    parameters.create(name, [4, 2], floats([4, 2], { seed: name.length }).data as Float32Array),
  );
  const fn = ({ rows }: Record<string, tf.Tensor>) =>
    tf.sum(tf.mul(tf.gather(table, rows as tf.Tensor1D), tf.slice(w, [0, 0], [3, 2]))) as tf.Scalar;
  const [once, more] = [false, true].map((accumulate) =>
    compileGradients(fn, { parameters, device: cpu, accumulate }),
  );
  const rows = intVector(2, 0, 2);
  await once({ rows });
  const single = ['w', 'table'].map((name) => parameters.view(name, 'gradient').slice());
  await more({ rows });
  ['w', 'table'].forEach((name, i) => {
    const doubled = single[i].map((x) => 2 * x);
    close(vector(...parameters.view(name, 'gradient')), vector(...doubled), 1e-6);
  });
  for (const compiled of [once, more]) await compiled.close();
});

test.run();
