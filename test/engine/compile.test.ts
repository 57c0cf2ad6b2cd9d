import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { compile, cpuDevice, type Device, type HostTensor, Parameters, tf } from '../../engine/index.ts';
import { floats, ints, vector } from './support/agree.ts';

const cpu = cpuDevice({ threads: 1 });
const list = (t: HostTensor) => [...t.data];
const sum = (t: HostTensor) => list(t).reduce((a, b) => a + b, 0);

/** The cpu device, counting what it loads and releases. */
function counted() {
  const count = { loaded: 0, released: 0 };
  const device: Device = {
    ...cpu,
    async load(graph) {
      const executable = await cpu.load(graph);
      count.loaded++;
      return {
        run: (...args) => executable.run(...args),
        release: () => {
          count.released++;
          return executable.release();
        },
      };
    },
  };
  return { count, device };
}

test('every set of shapes is compiled once; the least recently used goes first', async () => {
  const { count, device } = counted();
  let traces = 0;
  const double = compile(
    ({ x }) => {
      traces++;
      return { y: tf.mul(x, 2) };
    },
    { device, sessions: 2 },
  );
  const run = async (n: number) =>
    assert.is(sum((await double({ x: { ...floats([n]), data: new Float32Array(n).fill(1) } })).y), 2 * n);
  for (const n of [1, 2, 1, 2, 1]) await run(n);
  assert.equal([count.loaded, count.released, traces], [2, 0, 2]);
  await run(3); // 2 goes: 1 was used after it
  assert.equal([count.loaded, count.released], [3, 1]);
  await run(1);
  assert.is(count.loaded, 3);
  await run(2);
  assert.equal([count.loaded, count.released], [4, 2]);
  await double.close();
  assert.is(count.released, 4);
  await run(2);
  assert.is(count.loaded, 5, 'a closed function compiles again');
  await double.close();
});

test('the type of an input is part of its shape', async () => {
  const { count, device } = counted();
  const add = compile(({ x }) => ({ y: tf.add(x, tf.onesLike(x)) }), { device });
  assert.is((await add({ x: floats([3]) })).y.dtype, 'float32');
  assert.is((await add({ x: ints([3]) })).y.dtype, 'int32');
  assert.is(count.loaded, 2);
  await add.close();
});

test('inputs that the function does not use may be fed', async () => {
  const f = compile(({ x }) => ({ y: tf.neg(x) }), { device: cpu });
  assert.equal(list((await f({ unused: floats([100]), x: vector(1, 2) })).y), [-1, -2]);
  await f.close();
  const none = compile(() => ({ y: tf.tensor1d([1, 2]) }), { device: cpu });
  assert.equal(list((await none({ x: vector(1) })).y), [1, 2]);
  await none.close();
});

test('outputs may be inputs, constants, parameters, views and each other', async () => {
  const parameters = new Parameters();
  const w = parameters.create('w', [2], Float32Array.of(5, 6));
  const outside = tf.tensor1d([7, 8]);
  const f = compile(
    ({ x, i }) => {
      const y = tf.add(x, 1);
      return {
        first: x,
        again: x,
        integer: i,
        w,
        outside,
        constant: tf.tensor1d([1, 2, 3]),
        uniform: tf.ones([2, 40]),
        scalar: tf.scalar(4),
        y,
        sameY: y,
        clone: tf.clone(y),
        reshaped: tf.reshape(y, [1, 2]),
        z: tf.mul(y, y),
        bool: tf.greater(x, 1.5),
        'a name: with [odd] characters': tf.neg(x),
      };
    },
    { parameters, device: cpu },
  );
  const expected = {
    first: [1, 2],
    again: [1, 2],
    integer: [3],
    w: [5, 6],
    outside: [7, 8],
    constant: [1, 2, 3],
    uniform: new Array(80).fill(1),
    scalar: [4],
    y: [2, 3],
    sameY: [2, 3],
    clone: [2, 3],
    reshaped: [2, 3],
    z: [4, 9],
    bool: [0, 1],
    'a name: with [odd] characters': [-1, -2],
  };
  const i: HostTensor = { dtype: 'int32', shape: [], data: Int32Array.of(3) };
  for (let run = 0; run < 2; run++) {
    const actual = await f({ x: vector(1, 2), i });
    assert.equal(Object.fromEntries(Object.entries(actual).map(([name, t]) => [name, list(t)])), expected);
    assert.equal(actual.reshaped.shape, [1, 2]);
    assert.equal(actual.scalar.shape, []);
  }
  await f.close();
});

test('an output may not have the name of another value', async () => {
  const f = compile(({ x }) => ({ x: tf.neg(x) }), { device: cpu });
  try {
    await f({ x: vector(1) });
    assert.unreachable();
  } catch (error) {
    assert.match((error as Error).message, /both named 'x'/);
  }
});

test('two inputs may share their memory', async () => {
  const f = compile(({ a, b }) => ({ y: tf.matMul(a as tf.Tensor2D, b as tf.Tensor2D) }), { device: cpu });
  const data = Float32Array.of(1, 2, 3, 4, 5, 6);
  const { y } = await f({
    a: { dtype: 'float32', shape: [2, 3], data },
    b: { dtype: 'float32', shape: [3, 2], data },
  });
  assert.equal(list(y), [22, 28, 49, 64]);
  await f.close();
});

test('results are valid until the next call of the same shapes, which writes over them', async () => {
  const f = compile(({ x }) => ({ y: tf.add(x, 1) }), { device: cpu });
  const first = (await f({ x: vector(1, 2) })).y;
  await f({ x: vector(1, 2, 3) });
  assert.equal(list(first), [2, 3]);
  const second = (await f({ x: vector(5, 6) })).y;
  assert.is(second.data, first.data);
  assert.equal(list(first), [6, 7]);
  await f.close();
});

test('feeds are read anew at every call, in place or not', async () => {
  const f = compile(({ x }) => ({ y: tf.add(x, 1) }), { device: cpu });
  const x = vector(1, 2);
  await f({ x });
  x.data.set([10, 20]);
  assert.equal(list((await f({ x })).y), [11, 21]);
  const larger = Float32Array.of(0, 0, 7, 8);
  assert.equal(list((await f({ x: { ...x, data: larger.subarray(2) } })).y), [8, 9]);
  await f.close();
});

test('feeds whose data do not fill their shape are refused by name', async () => {
  const f = compile(({ rows }) => ({ y: tf.neg(rows) }), { device: cpu });
  await f({ rows: floats([2, 3]) });
  try {
    await f({ rows: { dtype: 'float32', shape: [2, 3], data: new Float32Array(5) } });
    assert.unreachable();
  } catch (error) {
    assert.match((error as Error).message, /'rows'.*\[2,3\].*5/);
  }
  await f.close();
});

test('many compiled functions can live at once', async () => {
  const functions = Array.from({ length: 150 }, (_, i) =>
    compile(({ x }) => ({ y: tf.add(x, i) }), { device: cpu }),
  );
  for (const [i, f] of functions.entries()) assert.equal(list((await f({ x: vector(1) })).y), [i + 1]);
  await Promise.all(functions.map((f) => f.close()));
});

test.run();
