import { test } from 'uvu';
import * as assert from 'uvu/assert';
import {
  compileGradients,
  compileShards,
  cpuDevice,
  dropout,
  type Feeds,
  type Inputs,
  normal,
  Parameters,
  tf,
} from '../../engine/index.ts';
import { openThread } from '../../engine/thread.ts';
import { floats, ints } from './support/agree.ts';

/** Rows of a table through a layer; `unused` is reached by no part. */
function setting(rate: number) {
  const parameters = new Parameters({ seed: 1 });
  const table = parameters.create('table', [9, 4], normal(1));
  const weight = parameters.create('weight', [4, 3], normal(1));
  parameters.create('unused', [5], normal(1));
  const loss = ({ ids, y }: Inputs) => {
    const h = tf.matMul(
      tf.gather(table, ids as tf.Tensor1D) as tf.Tensor2D,
      weight as tf.Tensor as tf.Tensor2D,
    );
    return tf.sum(tf.square(tf.sub(dropout(h, rate), y))) as tf.Scalar;
  };
  const gradients = () =>
    parameters.all().map(({ name }) => [...parameters.view(name, 'gradient')].map((g) => g + 0));
  return { parameters, loss, gradients };
}

const rows = (count: number, seed: number): Feeds => ({
  ids: ints([count], { low: 0, high: 9, seed }),
  y: floats([count, 3], { seed }),
});
const joined = (a: Feeds, b: Feeds): Feeds => ({
  ids: { ...a.ids, shape: [7], data: Int32Array.of(...a.ids.data, ...b.ids.data) },
  y: { ...a.y, shape: [7, 3], data: Float32Array.of(...a.y.data, ...b.y.data) },
});

function close(actual: number[][], expected: number[][]): void {
  assert.equal(actual.length, expected.length);
  for (const [i, row] of expected.entries())
    for (const [j, x] of row.entries())
      assert.ok(Math.abs(actual[i][j] - x) < 1e-5 * (1 + Math.abs(x)), `${actual[i][j]}, expected ${x}`);
}

for (const threads of [1, 2])
  test(`parts of a batch sum up to the whole, on ${threads} threads, again and again`, async () => {
    const { parameters, loss, gradients } = setting(0);
    const device = cpuDevice({ threads: 1 });
    const whole = compileGradients(loss, { parameters, device });
    const shards = compileShards(loss, 2, { parameters, device: cpuDevice({ threads }) });
    for (const step of [1, 2, 3]) {
      // Parts of different and of changing sizes.
      const [a, b] = step === 2 ? [rows(5, step), rows(2, 9)] : [rows(3, step), rows(4, 9)];
      const expected = (await whole(joined(a, b))).loss.data[0];
      const wanted = gradients();
      const sum = (await shards([a, b], { seed: 1, step })).loss.data[0];
      assert.ok(Math.abs(sum - expected) < 1e-5 * expected);
      close(gradients(), wanted);
      // What an optimizer changes, every thread sees.
      for (const { values } of parameters.all()) for (let i = 0; i < values.length; i++) values[i] *= 0.9;
    }
    await whole.close();
    await shards.close();
  });

test('three parts give the same bits on one, two and three threads, each with masks of its own', async () => {
  const parts = [rows(4, 1), rows(4, 1), rows(4, 1)];
  const outcomes = [];
  for (const threads of [1, 2, 3]) {
    const { parameters, loss, gradients } = setting(0.5);
    const shards = compileShards(loss, 3, { parameters, device: cpuDevice({ threads }) });
    const lossOf = async (some: Feeds[], step: number) =>
      (await shards(some, { seed: 2, step })).loss.data[0];
    for (const step of [1, 2]) outcomes.push([await lossOf(parts, step), gradients()]);
    const alone = await lossOf(parts.slice(0, 1), 1);
    assert.ok(Math.abs(3 * alone - (outcomes.at(-2)![0] as number)) > 1e-3, 'equal parts were dropped alike');
    await shards.close();
  }
  assert.equal(outcomes[2], outcomes[0]);
  assert.equal(outcomes[4], outcomes[0]);
  assert.equal(outcomes[3], outcomes[1]);
  assert.equal(outcomes[5], outcomes[1]);
  assert.not.equal(outcomes[1], outcomes[0]);
});

test('the gradients of inputs are sums over the parts, too', async () => {
  const parameters = new Parameters({ seed: 1 });
  const weight = parameters.create('weight', [4, 3], normal(1)) as tf.Tensor as tf.Tensor2D;
  const loss = ({ x, ids }: Inputs) =>
    tf.sum(tf.square(tf.matMul(tf.gather(x, ids as tf.Tensor1D) as tf.Tensor2D, weight))) as tf.Scalar;
  const options = { parameters, device: cpuDevice({ threads: 2 }), inputs: ['x'] };
  const x = floats([9, 4], { seed: 3 });
  const some = (count: number, seed: number): Feeds => ({ x, ids: ints([count], { low: 0, high: 9, seed }) });
  const [a, b] = [some(5, 1), some(6, 2)];
  const [whole, shards] = [compileGradients(loss, options), compileShards(loss, 2, options)];
  for (const step of [1, 2]) {
    const one = async (feeds: Feeds) => [...(await whole(feeds))['gradient of x'].data];
    const [ofA, ofB] = [await one(a), await one(b)];
    const sums = (await shards([a, b], { seed: 1, step }))['gradient of x'].data;
    close([[...sums]], [ofA.map((g, i) => g + ofB[i])]);
  }
  await whole.close();
  await shards.close();
});

test('what goes wrong in a thread is told, and the next step goes on', async () => {
  const { parameters, loss } = setting(0);
  const shards = compileShards(loss, 2, { parameters, device: cpuDevice({ threads: 2 }) });
  const bad = rows(4, 1);
  bad.ids.data.set([9]);
  const attempt = shards([bad, rows(4, 2)], { seed: 1, step: 1 });
  await attempt.then(
    () => assert.unreachable(),
    (error) => assert.match(String(error), /compiled graph failed.*out of data bounds/s),
  );
  const short = { ...rows(4, 1), y: { ...rows(4, 1).y, data: new Float32Array(3) } };
  await shards([short, rows(4, 2)], { seed: 1, step: 1 }).then(
    () => assert.unreachable(),
    (error) => assert.match(String(error), /'y' of shape \[4,3\] was given 3 elements/),
  );
  assert.ok((await shards([rows(4, 1), rows(4, 2)], { seed: 1, step: 1 })).loss.data[0] > 0);
  await shards.close();
});

test('a thread that has ended says so to whoever asks it, and is closed all the same', async () => {
  const { parameters, loss } = setting(0);
  const thread = openThread();
  const gradients = compileGradients(loss, { parameters, device: thread });
  await gradients(rows(4, 1));
  await thread.close();
  for (const count of [4, 5])
    await gradients(rows(count, 1)).then(
      () => assert.unreachable(),
      (error) => assert.match(String(error), /a computing thread ended/),
    );
  await gradients.close();
});

test.run();
