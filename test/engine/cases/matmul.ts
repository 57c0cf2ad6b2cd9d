import { tf } from '../../../engine/index.ts';
import { type Case, floats } from '../support/agree.ts';

const BOTH = [false, true];
const swap = (shape: number[], swapped: boolean) =>
  swapped ? [...shape.slice(0, -2), shape.at(-1)!, shape.at(-2)!] : shape;

interface Product {
  a: number[];
  b: number[];
  /** tfjs's gradient does not sum over broadcast batch axes. */
  gradient?: boolean;
}
const PRODUCTS: Product[] = [
  { a: [4, 3], b: [3, 5] },
  { a: [1, 3], b: [3, 1] },
  { a: [70, 90], b: [90, 110] },
  { a: [2, 4, 3], b: [2, 3, 5] },
  { a: [2, 3, 4, 3], b: [2, 3, 3, 5] },
  { a: [1, 4, 3], b: [2, 3, 5], gradient: false },
  { a: [2, 4, 3], b: [3, 5], gradient: false },
  { a: [4, 3], b: [2, 3, 5], gradient: false },
];
const matMuls: Case[] = PRODUCTS.flatMap(({ a, b, gradient }) =>
  BOTH.flatMap((transposeA) =>
    BOTH.map((transposeB) => ({
      name: `matMul [${a}]${transposeA ? ' transposed' : ''} . [${b}]${transposeB ? ' transposed' : ''}`,
      fn: (x: tf.Tensor, y: tf.Tensor) => tf.matMul(x, y, transposeA, transposeB),
      inputs: [floats(swap(a, transposeA)), floats(swap(b, transposeB), { seed: 2 })],
      gradient,
      tolerance: 1e-5,
    })),
  ),
);

// Under a gradient tfjs takes activations apart, so the fused forms are met in inference only.
const fused: Case[] = (['linear', 'relu', 'sigmoid', 'elu'] as const).flatMap((activation) =>
  [
    { a: [4, 3], b: [3, 5] },
    { a: [2, 4, 3], b: [2, 3, 5] },
  ].flatMap(({ a, b }) => [
    {
      name: `fused matMul [${a}], ${activation}`,
      fn: (x: tf.Tensor, w: tf.Tensor, bias: tf.Tensor) =>
        tf.fused.matMul({ a: x as tf.Tensor2D, b: w as tf.Tensor2D, bias, activation }),
      inputs: [floats(a), floats(b, { seed: 2 }), floats([5], { seed: 3 })],
      gradient: activation !== 'elu',
      tolerance: 1e-5,
    },
    {
      name: `fused matMul [${a}] transposed, ${activation}, no bias`,
      fn: (x: tf.Tensor, w: tf.Tensor) =>
        tf.fused.matMul({
          a: x as tf.Tensor2D,
          b: w as tf.Tensor2D,
          transposeA: true,
          transposeB: true,
          activation,
        }),
      inputs: [floats(swap(a, true)), floats(swap(b, true), { seed: 2 })],
      gradient: activation !== 'elu',
      tolerance: 1e-5,
    },
  ]),
);

export const matmul: Case[] = [
  ...matMuls,
  ...fused,
  {
    name: 'a matrix times itself, its transpose and a constant',
    fn: (x) => [
      tf.matMul(x, x),
      tf.matMul(x, x, true, false),
      tf.matMul(x, tf.ones([6, 6])),
      tf.matMul(x, tf.transpose(x)),
    ],
    inputs: [floats([6, 6])],
    tolerance: 1e-5,
  },
  {
    name: 'a product with zeros, in a sum',
    fn: (x, y) => [
      tf.add(tf.matMul(tf.zeros([4, 6]), x), y),
      tf.matMul(x, tf.zeros([6, 3])),
      tf.matMul(tf.zeros([2, 4, 6]), tf.reshape(tf.concat([x, x], 0), [2, 6, 6])),
      tf.matMul(tf.sub(x, x), x),
    ],
    inputs: [floats([6, 6]), floats([6], { seed: 2 })],
    tolerance: 1e-5,
  },
  {
    name: 'dot products and outer products',
    fn: (x, y) => [
      tf.dot(x as tf.Tensor1D, y as tf.Tensor1D),
      tf.outerProduct(x as tf.Tensor1D, y as tf.Tensor1D),
    ],
    inputs: [floats([6]), floats([6], { seed: 2 })],
    tolerance: 1e-5,
  },
];
