import { test } from 'uvu';
import { type HostTensor, tf } from '../../../engine/index.ts';
import { elementwise } from '../cases/elementwise.ts';
import { gather } from '../cases/gather.ts';
import { matmul } from '../cases/matmul.ts';
import { own } from '../cases/own.ts';
import { reduce } from '../cases/reduce.ts';
import { shape } from '../cases/shape.ts';
import { agrees, agreeWithEager } from '../support/agree.ts';
import { webgpuHere } from './support.ts';

const webgpu = await webgpuHere({ strict: false });
const groups = { elementwise, gather, matmul, own, reduce, shape };

for (const [name, cases] of webgpu ? Object.entries(groups) : []) {
  test(`${name} on webgpu: ${cases.length} cases with their gradients`, () =>
    agreeWithEager(cases, [webgpu!]));
}

if (webgpu) {
  const strict = await webgpuHere();
  const a: HostTensor = {
    dtype: 'int32',
    shape: [2, 4],
    data: Int32Array.of(-7, 7, 16777217, 7, 2, 0, -2, -16777219),
  };
  const b: HostTensor = { dtype: 'int32', shape: [2, 4], data: Int32Array.of(3, -3, 10, 7, -5, -2, -2, -7) };
  const ops: Record<string, (a: tf.Tensor, b: tf.Tensor) => tf.Tensor> = {
    ...{ neg: tf.neg, relu: tf.relu, sign: tf.sign, floorDiv: tf.floorDiv, div: tf.div },
    ...{ argMax: (a) => tf.argMax(a, 1), argMin: (a) => tf.argMin(a, 0) },
    'argMax of reals': (a) => tf.argMax(tf.cast(a, 'float32'), 1),
  };
  for (const [name, op] of Object.entries(ops))
    test(`${name} of integers is exact, and runs on the card alone`, () =>
      agrees(({ a, b }) => ({ y: op(a, b) }), { a, b }, 0, undefined, [strict!]));
  // tfjs's own rounds to 24 bits.
  test('abs of integers is exact, and runs on the card alone', () => {
    const expected = { y: { ...a, data: Int32Array.from(a.data, Math.abs) } };
    return agrees(({ a }) => ({ y: tf.abs(a) }), { a }, 0, expected, [strict!]);
  });
}

test.run();
