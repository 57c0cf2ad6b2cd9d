import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { UsageError, UserError } from '../../common/errors.ts';
import { compile, compileGradients, dropout, ones, openDevice, Parameters, tf } from '../../engine/index.ts';
import { floats, vector } from './support/agree.ts';

let line = 0;
/** Notes the line that calls it; models call it on the line of their mistake. */
function here<T>(x: T): T {
  line = Number(/errors\.test\.ts:(\d+)/.exec(new Error().stack!.split('\n')[2])![1]);
  return x;
}

/** The message of the UserError that `run` ends with. */
async function failure(run: () => Promise<unknown>): Promise<string> {
  try {
    await run();
  } catch (error) {
    assert.instance(error, UserError);
    assert.is(tf.getBackend(), 'cpu', 'the host backend is back');
    return (error as Error).message;
  }
  return assert.unreachable('nothing was thrown') as never;
}

type Model = (x: tf.Tensor) => tf.Tensor;
const compiled = (model: Model) =>
  failure(() => compile(({ x }) => ({ y: model(x) }))({ x: floats([2, 3]) }));
const trained = (model: Model) => {
  const parameters = new Parameters();
  const w = parameters.create('w', [2, 3], ones);
  return failure(() => compileGradients(() => tf.sum(model(w)) as tf.Scalar, { parameters })({}));
};
const namesTheLine = (message: string) => {
  const found = /\(test\/engine\/errors\.test\.ts:(\d+):\d+\)/.exec(message);
  assert.ok(found, message);
  assert.is(Number(found[1]), line, message);
};

const UNSUPPORTED: [string, Model][] = [
  ['Asin', (x) => tf.asin(here(x))],
  ['Sinh', (x) => tf.sinh(here(x))],
  [
    'Conv2D',
    (x) => tf.conv1d(here(tf.expandDims(x)) as tf.Tensor3D, tf.ones([1, 3, 2]) as tf.Tensor3D, 1, 'same'),
  ],
  ['Multinomial', (x) => tf.multinomial(here(x) as tf.Tensor2D, 1)],
];
for (const [operation, model] of UNSUPPORTED)
  test(`an operation that cannot be compiled: ${operation}`, async () => {
    const message = await compiled(model);
    assert.match(message, `operation '${operation}' cannot be compiled`);
    namesTheLine(message);
  });

test('forms of supported operations that cannot be compiled', async () => {
  const gathers = await compiled((x) => tf.gather(here(x), tf.zeros([2, 1], 'int32'), 1, 1));
  assert.match(gathers, "'tf.gather' with batchDims");
  namesTheLine(gathers);
  const fused = await compiled((x) =>
    tf.fused.matMul({ a: here(x) as tf.Tensor2D, b: tf.ones([3, 3]), activation: 'relu6' }),
  );
  assert.match(fused, "activation 'relu6'");
  namesTheLine(fused);
});

test('types that cannot be compiled', async () => {
  const message = await compiled((x) => tf.real(tf.cast(here(x), 'complex64')));
  assert.match(message, 'type complex64 cannot be compiled');
  namesTheLine(message);
});

test('an operation without a gradient', async () => {
  const message = await trained((x) => tf.stridedSlice(here(x), [0, 0], [2, 3], [1, 2]));
  assert.match(message, "operation 'StridedSlice' has no gradient");
  namesTheLine(message);
});

test('an operation whose gradient cannot be compiled', async () => {
  const message = await trained((x) => tf.prod(x, 1));
  assert.match(message, "operation 'Cumprod' cannot be compiled");
  assert.not.match(message, 'errors.test.ts', 'the place of the call would mislead');
});

const READS: [string, Model][] = [
  ['dataSync', (x) => (here(tf.sum(x)).dataSync()[0] > 0 ? x : tf.neg(x))],
  ['arraySync', (x) => tf.mul(x, here(tf.sum(x)).arraySync() as number)],
  [
    'print',
    (x) => {
      here(x).print();
      return x;
    },
  ],
];
for (const [name, model] of READS)
  test(`a value read while tracing: ${name}`, async () => {
    const message = await compiled(model);
    assert.match(message, 'dataSync: a value was read');
    assert.match(message, 'tf.where');
    namesTheLine(message);
  });

test('constants may be read while tracing', async () => {
  const f = compile(({ x }) => {
    const [a, b] = [tf.tensor1d([1, 2]), tf.zeros([2], 'int32')];
    assert.equal([...a.dataSync()], [1, 2]);
    assert.equal(b.dataSync(), new Int32Array(2));
    return { y: tf.add(x, tf.add(a, b)) };
  });
  assert.equal([...(await f({ x: vector(1, 1) })).y.data], [2, 3]);
  await f.close();
});

const RANDOM: [string, Model][] = [
  ['dropout', (x) => tf.dropout(here(x), 0.5)],
  ['dropout', (x) => tf.dropout(here(x), 0.5, undefined, 'a seed')],
  ['randomUniform', (x) => tf.add(x, tf.randomUniform(here([2, 3])))],
  ['randomUniform', (x) => tf.add(x, tf.randomUniform(here([2, 3]), 0, 1, 'float32', 'a seed'))],
  ['randomNormal', (x) => tf.add(x, tf.randomNormal(here([2, 3])))],
  ['randomNormal', (x) => tf.add(x, tf.randomNormal(here([2, 3]), 0, 1, 'float32', 7))],
  ['truncatedNormal', (x) => tf.add(x, tf.truncatedNormal(here([2, 3])))],
  ['truncatedNormal', (x) => tf.add(x, tf.truncatedNormal(here([2, 3]), 0, 1, 'float32', 7))],
  ['randomStandardNormal', (x) => tf.add(x, tf.randomStandardNormal(here([2, 3])))],
  ['randomGamma', (x) => tf.add(x, tf.randomGamma(here([2, 3]), 1))],
  ['rand', (x) => tf.add(x, tf.rand(here([2, 3]), Math.random))],
];
for (const [name, model] of RANDOM)
  test(`random numbers of the host: ${model.toString().slice(7)}`, async () => {
    const message = await compiled(model);
    assert.match(message, new RegExp(`tf\\.(${name}|randomNormal) draws random numbers`));
    assert.match(message, "the engine's dropout(x, rate) or noise(shape)");
    namesTheLine(message);
  });

test('random numbers that were drawn outside are constants; functions may be named like tf.randomNormal', async () => {
  const outside = tf.randomNormal([2, 3]);
  const values = await outside.data();
  const randomNormal = (x: tf.Tensor) => tf.add(x, tf.tensor1d([0, 0, 0]));
  const f = compile(({ x }) => ({ y: randomNormal(tf.add(tf.mul(x, 0), outside)) }));
  assert.equal((await f({ x: floats([2, 3]) })).y.data, values);
  await f.close();
});

test('mistakes in a model keep their message and their line', async () => {
  const shapes = await compiled((x) => tf.add(here(x), tf.ones([7, 7])));
  assert.match(shapes, 'could not be broadcast');
  namesTheLine(shapes);
  const own = await compiled((x) => {
    if (here(x)) throw new Error('no such layer');
    return x;
  });
  assert.match(own, 'no such layer');
});

test('a loss that is no scalar, and one that no parameter reaches', async () => {
  const parameters = new Parameters();
  const w = parameters.create('w', [2], ones);
  const wide = compileGradients(() => tf.mul(w, 2) as tf.Scalar, { parameters });
  assert.match(await failure(() => wide({})), 'scalar');
  const constant = compileGradients(({ x }) => tf.sum(x) as tf.Scalar, { parameters });
  assert.match(await failure(() => constant({ x: vector(1) })), /depends on no parameter that is trained/);
});

test('an error in customGrad names the line of the gradient', async () => {
  const message = await trained((x) =>
    tf.customGrad((x) => ({
      value: tf.mul(x as tf.Tensor, 2),
      gradFunc: (dy) => tf.asin(here(dy)),
    }))(x),
  );
  assert.match(message, "'Asin' cannot be compiled");
  namesTheLine(message);
});

test('an error leaves the engine usable, compiled and eager', async () => {
  const stackLimit = Error.stackTraceLimit;
  await compiled((x) => tf.asin(x));
  await trained((x) => tf.stridedSlice(x, [0, 0], [2, 3], [1, 2]));
  assert.is(Error.stackTraceLimit, stackLimit);
  const f = compile(({ x }) => ({ y: tf.neg(x) }));
  assert.equal([...(await f({ x: vector(1) })).y.data], [-1]);
  await f.close();
  assert.equal(
    [
      ...tf
        .grad((x) => tf.sum(tf.square(x)))(tf.tensor1d([3]))
        .dataSync(),
    ],
    [6],
  );
});

test('devices: unknown, known', async () => {
  const unknown = await openDevice('cpuu').catch((error: unknown) => error as Error);
  assert.ok(unknown instanceof UsageError && /did you mean 'cpu'/.test(unknown.message));
  assert.is((await openDevice('cpu')).reason, 'as asked');
});

test('a dropout rate out of range', () => {
  assert.throws(() => dropout(tf.ones([2]), 1), /rate of 1 is not in \[0, 1\)/);
});

test.run();
