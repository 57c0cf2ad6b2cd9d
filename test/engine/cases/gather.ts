import { tf } from '../../../engine/index.ts';
import { type Case, floats, ints, intVector } from '../support/agree.ts';

const rows = (shape: number[], count: number, seed = 1) => ints(shape, { low: 0, high: count, seed });

// Gradients of gathers are scattered additions: what differs is how often a row repeats and what is added to what.
const scattered: Case[] = [
  {
    name: 'two gathers of one table, added',
    fn: (table, i, j) => tf.add(tf.gather(table, i), tf.gather(table, j)),
    inputs: [floats([6, 3]), rows([9], 6), rows([9], 6, 2)],
  },
  {
    name: 'three gathers of one table and the table itself',
    fn: (table, i, j, k) => [
      tf.gather(table, i),
      tf.square(tf.gather(table, j)),
      tf.gather(table, k),
      tf.mul(table, table),
    ],
    inputs: [floats([6, 3]), rows([9], 6), rows([4], 6, 2), rows([2, 2], 6, 3)],
  },
  {
    name: 'one gather used twice',
    fn: (table, i) => {
      const x = tf.gather(table, i);
      return [tf.mul(x, x), tf.exp(x), tf.add(x, x)];
    },
    inputs: [floats([6, 3]), rows([9], 6)],
  },
  {
    name: 'a gather from a gather',
    fn: (table, i, j) => tf.gather(tf.gather(table, i), j),
    inputs: [floats([6, 3]), rows([9], 6), rows([20], 9, 2)],
  },
  {
    name: 'a table gathered, and multiplied as a matrix',
    fn: (table, i) => tf.matMul(tf.gather(table, i), table, false, true),
    inputs: [floats([6, 3]), rows([9], 6)],
    tolerance: 1e-5,
  },
  {
    name: 'many duplicates: 2000 rows of 16, most of them row 3',
    fn: (table, i) => tf.gather(table, tf.maximum(i, tf.scalar(3, 'int32'))),
    inputs: [floats([5, 16]), rows([2000], 5)],
    tolerance: 1e-4,
  },
  {
    name: 'many duplicates of wide rows, gathered twice',
    fn: (table, i, j) => tf.add(tf.gather(table, i), tf.gather(table, j)),
    inputs: [floats([6, 64]), rows([700], 6), rows([700], 6, 2)],
    tolerance: 1e-4,
  },
  {
    name: 'scattered additions added to zeros, ones and each other',
    fn: (a, b, i) => {
      const sum = (x: tf.Tensor) => tf.unsortedSegmentSum(x as tf.Tensor2D, i as tf.Tensor1D, 4);
      return [
        tf.add(sum(a), tf.zeros([4, 3])),
        tf.add(tf.ones([4, 3]), sum(a)),
        tf.add(sum(a), sum(b)),
        tf.add(sum(a), tf.ones([3])),
        tf.addN([sum(a), sum(b), sum(a)]),
        tf.addN([sum(a), tf.ones([4, 3]), sum(b)]),
        tf.add(tf.scalar(1), sum(b)),
        tf.sub(sum(a), sum(b)),
      ];
    },
    inputs: [floats([7, 3]), floats([7, 3], { seed: 2 }), rows([7], 4)],
  },
];

const gathers: Case[] = [
  ...[0, 1, 2, -1].flatMap((axis) =>
    ([[], [5], [2, 3]] as number[][]).map((shape) => ({
      name: `gather [${shape}] along ${axis}`,
      fn: (x: tf.Tensor, i: tf.Tensor) => tf.gather(x, i, axis),
      inputs: [floats([4, 3, 3]), rows(shape, 3)],
    })),
  ),
  { name: 'gather of integers', fn: (x, i) => tf.gather(x, i), inputs: [ints([4, 3]), rows([5], 4)] },
  { name: 'gather from a vector', fn: (x, i) => tf.gather(x, i), inputs: [floats([4]), rows([5, 2], 4)] },
  {
    name: 'gather of constant rows',
    fn: (x) => tf.gather(x, tf.tensor1d([2, 0, 2], 'int32')),
    inputs: [floats([4, 3])],
  },
];

const segments: Case[] = ([[6], [6, 3], [6, 2, 2]] as number[][]).map((shape) => ({
  name: `unsortedSegmentSum [${shape}]`,
  fn: (x: tf.Tensor, i: tf.Tensor) => tf.unsortedSegmentSum(x, i as tf.Tensor1D, 5),
  inputs: [floats(shape), rows([6], 4)],
}));

const oneHots: Case[] = (['float32', 'int32', 'bool'] as const).flatMap((dtype) =>
  ([[], [5], [2, 3]] as number[][]).map((shape) => ({
    name: `oneHot [${shape}] ${dtype}`,
    fn: (i: tf.Tensor) => [
      tf.oneHot(i, 4, 1, 0, dtype),
      tf.oneHot(i, 6, dtype === 'bool' ? 0 : 3, dtype === 'bool' ? 1 : -2, dtype),
    ],
    inputs: [rows(shape, 4)],
  })),
);

export const gather: Case[] = [
  ...scattered,
  ...gathers,
  ...segments,
  ...oneHots,
  {
    name: 'unsortedSegmentSum of integers',
    fn: (x, i) => tf.unsortedSegmentSum(x, i as tf.Tensor1D, 5),
    inputs: [ints([6, 2]), rows([6], 4)],
  },
  {
    name: 'oneHot outside the depth is off',
    fn: (i) => tf.oneHot(i, 3),
    inputs: [intVector(-1, 0, 2, 3, -3, 7)],
  },
];
