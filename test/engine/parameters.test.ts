import { test } from 'uvu';
import * as assert from 'uvu/assert';
import {
  compileGradients,
  normal,
  Optimizer,
  ones,
  Parameters,
  sizeOf,
  tf,
  uniform,
  xavierNormal,
  xavierUniform,
  zeros,
} from '../../engine/index.ts';
import { vector } from './support/agree.ts';

test('initial values follow the seed and the name, not the order of making', () => {
  const make = (seed: number, names: string[]) => {
    const parameters = new Parameters({ seed });
    for (const name of names) parameters.create(name, [4, 3], normal(1));
    return parameters;
  };
  const [one, other] = [make(1, ['a', 'b']), make(1, ['b', 'c', 'a'])];
  for (const name of ['a', 'b']) assert.equal(one.get(name).values, other.get(name).values);
  assert.not.equal([...one.get('a').values], [...one.get('b').values]);
  assert.not.equal([...one.get('a').values], [...make(2, ['a']).get('a').values]);
});

test('initializers have the spread that their names promise', () => {
  const parameters = new Parameters({ seed: 5 });
  const shape = [300, 100];
  const statistics = (name: string, initial: typeof ones) => {
    parameters.create(name, shape, initial);
    const { values } = parameters.get(name);
    const mean = values.reduce((s, x) => s + x, 0) / values.length;
    const std = Math.sqrt(values.reduce((s, x) => s + (x - mean) ** 2, 0) / values.length);
    return { mean, std, max: values.reduce((m, x) => Math.max(m, Math.abs(x)), 0) };
  };
  const expected = {
    normal: { of: normal(0.02), std: 0.02, max: Infinity },
    uniform: { of: uniform(0.5), std: 0.5 / Math.sqrt(3), max: 0.5 },
    xavierNormal: { of: xavierNormal, std: Math.sqrt(2 / 400), max: Infinity },
    xavierUniform: { of: xavierUniform, std: Math.sqrt(2 / 400), max: Math.sqrt(6 / 400) },
  };
  for (const [name, { of, std, max }] of Object.entries(expected)) {
    const found = statistics(name, of);
    assert.ok(Math.abs(found.mean) < 5 * std * Math.sqrt(1 / sizeOf(shape)), `${name}: mean ${found.mean}`);
    assert.ok(Math.abs(found.std / std - 1) < 0.02, `${name}: deviation ${found.std}`);
    assert.ok(found.max <= Math.fround(max), `${name}: largest ${found.max}`);
  }
  assert.is(statistics('ones', ones).mean, 1);
  assert.is(statistics('zeros', zeros).max, 0);
});

test('parameters, variables and arenas are one memory, over as many arenas as it takes', () => {
  const shapes: Record<string, number[]> = { a: [3], b: [5, 2], c: [], d: [4, 4], e: [9] };
  for (const segmentLimit of [16, 20, 1000]) {
    const parameters = new Parameters({ seed: 2, segmentLimit });
    for (const [name, shape] of Object.entries(shapes)) parameters.create(name, shape, normal(1));
    const before = parameters.snapshot();
    const segments = parameters.segments();
    assert.is(segments.length, { 16: 4, 20: 3, 1000: 1 }[segmentLimit]);
    const seen = new Map<ArrayBuffer, Uint8Array>();
    for (const { name, values, variable, shape } of parameters.all()) {
      assert.equal(values, before.get(name)!.data);
      assert.equal(variable.shape, shape);
      const { buffer } = parameters.get(name).slot!.segment.arena;
      const used = seen.get(buffer) ?? new Uint8Array(buffer.byteLength);
      seen.set(buffer, used);
      for (const view of [
        values,
        ...(['first', 'second', 'gradient'] as const).map((what) => parameters.view(name, what)),
      ]) {
        assert.is(view.buffer, buffer);
        assert.is(view.byteOffset % 16, 0);
        for (let i = 0; i < view.byteLength; i++)
          assert.is(used[view.byteOffset + i]++, 0, `${name} overlaps`);
      }
      values[0] = 42;
      assert.is(variable.dataSync()[0], 42);
    }
  }
});

test('training over several arenas equals training over one', async () => {
  const train = async (segmentLimit?: number) => {
    const parameters = new Parameters({ seed: 2, segmentLimit });
    const [a, b, c] = ['a', 'b', 'c'].map((name) => parameters.create(name, [6], normal(1)));
    const loss = compileGradients(
      ({ x }) => tf.sum(tf.exp(tf.mul(tf.mul(a, x), tf.add(b, tf.square(c))))) as tf.Scalar,
      { parameters, threads: 1 },
    );
    const optimizer = new Optimizer(parameters, { type: 'adam', learningRate: 0.01, clipNorm: 1 });
    const losses: number[] = [];
    for (let step = 0; step < 5; step++) {
      losses.push((await loss({ x: vector(1, 2, 3, -1, -2, 0) })).loss.data[0]);
      optimizer.step();
    }
    await loss.close();
    return losses;
  };
  const [one, several] = [await train(), await train(8)];
  several.forEach((value, i) => {
    assert.ok(Math.abs(value / one[i] - 1) < 1e-6);
  });
  assert.ok(one[4] < one[0]);
});

test('freezing takes parameters out of training by prefix, before it begins', () => {
  const parameters = new Parameters();
  for (const name of ['tower.w', 'tower.b', 'head.w']) parameters.create(name, [2], ones);
  parameters.freeze('tower.');
  assert.equal(
    parameters.trainable().map((p) => p.name),
    ['head.w'],
  );
  assert.is(parameters.size, 2);
  parameters.segments();
  assert.throws(() => parameters.view('tower.w', 'gradient'), /not trained/);
  assert.throws(() => parameters.freeze('head.'), /after training has begun/);
});

test('what contradicts itself is refused', () => {
  const parameters = new Parameters({ segmentLimit: 8 });
  parameters.create('a', [2], ones);
  assert.throws(() => parameters.create('a', [2], ones), /'a' is made twice/);
  assert.throws(() => parameters.create('b', [2, 2], Float32Array.of(1, 2, 3)), /\[2,2\].*3 values/);
  assert.throws(() => parameters.get('z'), /no parameter is named 'z'/);
  parameters.create('large', [9], ones);
  assert.throws(() => parameters.segments(), /'large' has 12 elements; at most 8/);
  const begun = new Parameters();
  begun.create('a', [2], ones);
  begun.segments();
  assert.throws(() => begun.create('late', [1], ones), /after training has begun/);
  begun.create('fixed', [1], ones, { trainable: false });
});

test('a snapshot is a copy', () => {
  const parameters = new Parameters();
  parameters.create('a', [2], ones);
  const before = parameters.snapshot();
  parameters.get('a').values.fill(5);
  assert.equal([...before.get('a')!.data], [1, 1]);
});

test('disposed parameters leave no tensor behind, however they came by their values', () => {
  const before = tf.memory();
  const parameters = new Parameters();
  const variable = parameters.create('a', [2], ones);
  parameters.create('fixed', [3], ones, { trainable: false });
  parameters.segments();
  variable.assign(tf.tidy(() => tf.keep(tf.tensor1d([3, 4]))));
  parameters.follow();
  assert.equal([...parameters.get('a').values], [3, 4]);
  assert.equal([...variable.dataSync()], [3, 4]);
  parameters.dispose();
  const { numTensors, numDataBuffers } = tf.memory();
  // The test's own tensor.
  assert.equal([numTensors, numDataBuffers], [before.numTensors + 1, before.numDataBuffers + 1]);
});

test.run();
