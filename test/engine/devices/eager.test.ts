import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { UserError } from '../../../common/errors.ts';
import {
  compile,
  compileGradients,
  dropout,
  eagerDevice,
  gradientOf,
  type HostTensor,
  type Inputs,
  linearCrossEntropy,
  noise,
  normal,
  Optimizer,
  Parameters,
  tf,
} from '../../../engine/index.ts';
import { openTensorflow } from '../../tensorflow.ts';
import { elementwise } from '../cases/elementwise.ts';
import { gather } from '../cases/gather.ts';
import { matmul } from '../cases/matmul.ts';
import { own } from '../cases/own.ts';
import { reduce } from '../cases/reduce.ts';
import { shape } from '../cases/shape.ts';
import { agreeWithEager, close, DEVICES, floats, ints, vector } from '../support/agree.ts';

const tensorflow = await openTensorflow();
const devices = [eagerDevice('cpu'), ...(tensorflow ? [tensorflow] : [])];

/** tfjs's cpu backend gives real numbers. */
const UNEQUAL = ['unsortedSegmentSum of integers'];

if (tensorflow)
  for (const [name, all] of Object.entries({ elementwise, matmul, reduce, gather, shape, own })) {
    const cases = all.filter(({ name }) => !UNEQUAL.includes(name));
    test(`tensorflow: ${cases.length} cases of ${name}, with their gradients, as on tfjs's cpu backend`, async () => {
      for (const one of cases) await agreeWithEager([{ tolerance: 1e-5, ...one }], [tensorflow]);
    });
  }

/** A table, a matrix that the loss does not reach, and a loss with masks. */
function small() {
  const parameters = new Parameters({ seed: 3 });
  const table = parameters.create('table', [30, 8], normal(0.3)) as tf.Tensor as tf.Tensor2D;
  parameters.create('apart', [3], normal(1));
  const loss = ({ ids, target, weight }: Inputs) => {
    const rows = dropout(tf.gather(table, ids as tf.Tensor1D), 0.3);
    const noisy = tf.add(rows, tf.mul(noise(rows.shape), 0.1)) as tf.Tensor2D;
    return linearCrossEntropy(noisy, table, target as tf.Tensor1D, weight as tf.Tensor1D);
  };
  const feeds = {
    ids: ints([6], { low: 0, high: 30 }),
    target: ints([6], { low: 0, high: 30, seed: 2 }),
    weight: floats([6], { low: 0, high: 1 }),
  };
  return { parameters, loss, feeds };
}

for (const device of devices) {
  const on = `${device.name}: `;

  test(`${on}gradients are those of the compiled loss, replaced or added, zero where the loss does not reach`, async () => {
    for (const accumulate of [false, true]) {
      const found: Record<string, HostTensor>[] = [];
      for (const one of [DEVICES[0], device]) {
        const { parameters, loss, feeds } = small();
        const step = compileGradients(loss, { parameters, device: one, inputs: ['weight'], accumulate });
        parameters.view('table', 'gradient').fill(1);
        parameters.view('apart', 'gradient').fill(1);
        const results = await step(feeds, { seed: 1, step: 2, part: 3 });
        assert.equal(Object.keys(results).sort(), [gradientOf('weight'), 'loss']);
        assert.equal([...parameters.view('apart', 'gradient')], Array(3).fill(accumulate ? 1 : 0));
        const gradient = parameters.view('table', 'gradient').slice();
        found.push({ ...results, table: { dtype: 'float32' as const, shape: [30, 8], data: gradient } });
        await step.close();
      }
      for (const name of Object.keys(found[0])) close(found[1][name], found[0][name], 1e-5, name);
    }
  });

  test(`${on}a call sees what the optimizer, a checkpoint or an assignment wrote`, async () => {
    const parameters = new Parameters();
    const p = parameters.create('p', [3], new Float32Array([1, 2, 3]));
    const read = compile(() => ({ y: tf.mul(p, 1), itself: p }), { parameters, device });
    const values = async () => {
      const { y, itself } = await read({});
      assert.equal([...itself.data], [...y.data]);
      return [...y.data];
    };
    assert.equal(await values(), [1, 2, 3]);
    parameters.get('p').values[1] = 5;
    assert.equal(await values(), [1, 5, 3]);
    p.assign(tf.tensor1d([7, 8, 9]));
    assert.equal(await values(), [7, 8, 9]);
    parameters.segments();
    parameters.get('p').values[0] = 4;
    const { itself } = await read({});
    parameters.get('p').values.fill(0);
    assert.equal([...itself.data], [4, 8, 9], 'a result does not follow the parameter');
    assert.equal([...p.dataSync()], [0, 0, 0], 'the variable is host memory again');
  });

  test(`${on}100 steps leave no tensor behind`, async () => {
    const { parameters, loss, feeds } = small();
    const step = compileGradients(loss, { parameters, device });
    const optimizer = new Optimizer(parameters, { type: 'adam', learningRate: 1e-3 });
    const backend = tf.engine().findBackend(device.name);
    const held = () => [tf.memory().numTensors, tf.memory().numDataBuffers, backend.numDataIds()];
    const before = held();
    for (let i = 0; i < 100; i++) {
      await step(feeds, { seed: 1, step: i });
      optimizer.step();
    }
    assert.equal(held(), before);
    parameters.dispose();
  });

  test(`${on}a frozen input is held until another comes, or the function is closed`, async () => {
    const double = compile(({ x, y }) => ({ z: tf.add(tf.mul(x, 2), y) }), { device });
    const backend = tf.engine().findBackend(device.name);
    const before = backend.numDataIds();
    const y = vector(1, 1);
    for (const x of [vector(1, 2), vector(3, 4)])
      for (let i = 0; i < 3; i++) {
        const { z } = await double({ x: { ...x, frozen: true }, y });
        assert.equal([...z.data], [2 * x.data[0] + 1, 2 * x.data[1] + 1]);
        assert.is(backend.numDataIds(), before + 1);
      }
    await double.close();
    assert.is(backend.numDataIds(), before);
  });

  test(`${on}timers run between the calls of a loop`, async () => {
    let fired = false;
    setTimeout(() => {
      fired = true;
    });
    const one = compile(() => ({ y: tf.scalar(1) }), { device });
    const until = performance.now() + 5000;
    while (!fired && performance.now() < until) await one({});
    assert.ok(fired);
  });

  test(`${on}failures name the model's line, and leave the backends as they were`, async () => {
    const broken = compile(({ x }) => ({ y: tf.matMul(x as tf.Tensor2D, tf.ones([5, 5])) }), { device });
    const error = await broken({ x: floats([2, 3]) }).catch((error: unknown) => error as Error);
    assert.instance(error, UserError);
    assert.match((error as Error).message, /failed on .* \(test\/engine\/devices\/eager\.test\.ts:\d+:\d+\)/);
    assert.is(tf.getBackend(), 'cpu');
    const short = { ...vector(1, 2), shape: [3] };
    const mismatch = await broken({ x: short }).catch((error: unknown) => error as Error);
    assert.match((mismatch as Error).message, /'x' of shape \[3\] was given 2 elements/);
  });
}

test.run();
