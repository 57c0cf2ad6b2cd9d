import { tf } from '../../../engine/index.ts';
import { bools, type Case, floats, ints } from '../support/agree.ts';

type Axis = number | number[] | undefined;
type Reduction = (x: tf.Tensor, axis: Axis, keepDims: boolean) => tf.Tensor;
const REDUCTIONS: Record<string, Reduction> = {
  sum: tf.sum,
  mean: tf.mean,
  max: tf.max,
  min: tf.min,
  prod: tf.prod,
};

const subsets = (rank: number): number[][] =>
  Array.from({ length: 2 ** rank }, (_, bits) =>
    Array.from({ length: rank }, (_, axis) => axis).filter((axis) => bits & (1 << axis)),
  );
const AXES: Axis[] = [undefined, ...subsets(3), -1, -3, [-1, 0]];

const all: Case[] = Object.entries(REDUCTIONS).flatMap(([name, reduce]) =>
  [false, true].flatMap((keepDims) => [
    ...AXES.map((axis) => ({
      name: `${name} over [${axis}]${keepDims ? ', kept' : ''}`,
      fn: (x: tf.Tensor) => reduce(x, axis, keepDims),
      inputs: [floats([2, 3, 4])],
      gradient: name !== 'prod', // tfjs takes it by cumprod, which ONNX lacks
      tolerance: 1e-5,
    })),
    ...([[], [5], [2, 3, 2, 2], [150, 129]] as number[][]).map((shape) => ({
      name: `${name} of [${shape}]${keepDims ? ', kept' : ''}`,
      fn: (x: tf.Tensor) => reduce(x, undefined, keepDims),
      inputs: [floats(shape, { low: -0.5, high: 2 })],
      gradient: name !== 'prod',
      tolerance: 1e-4,
    })),
    {
      name: `${name} of integers${keepDims ? ', kept' : ''}`,
      fn: (x: tf.Tensor) => [reduce(x, 1, keepDims), reduce(x, undefined, keepDims)],
      inputs: [ints([3, 4])],
      gradient: false,
    },
    {
      name: `${name} of a constant${keepDims ? ', kept' : ''}`,
      fn: () => reduce(tf.fill([2, 3], 1.5), 1, keepDims),
      inputs: [],
    },
  ]),
);

const ranked: Case[] = [0, 1, 2, -1].flatMap((axis): Case[] => [
  {
    name: `argMax and argMin over ${axis}`,
    fn: (x) => [tf.argMax(x, axis), tf.argMin(x, axis)],
    inputs: [ints([3, 4, 5], { low: 0, high: 4 })],
    gradient: false,
  },
  {
    name: `argMax of reals over ${axis}`,
    fn: (x) => tf.argMax(x, axis),
    inputs: [floats([3, 4, 5])],
    gradient: false,
  },
]);

const softmaxes: Case[] = ([[7], [2, 3], [2, 3, 4], [150, 129]] as number[][]).flatMap((shape) => [
  { name: `softmax [${shape}]`, fn: (x: tf.Tensor) => tf.softmax(x), inputs: [floats(shape)] },
  {
    name: `logSoftmax [${shape}]`,
    fn: (x: tf.Tensor) => tf.logSoftmax(x),
    inputs: [floats(shape)],
    tolerance: 1e-5,
  },
  {
    name: `logSumExp [${shape}]`,
    fn: (x: tf.Tensor) => tf.logSumExp(x, -1),
    inputs: [floats(shape)],
    tolerance: 1e-5,
  },
]);

const cumulative: Case[] = [0, 1, 2].flatMap((axis) =>
  [false, true].flatMap((exclusive) =>
    [false, true].map((reverse) => ({
      name: `cumsum over ${axis}${exclusive ? ', exclusive' : ''}${reverse ? ', reversed' : ''}`,
      fn: (x: tf.Tensor) => tf.cumsum(x, axis, exclusive, reverse),
      inputs: [floats([3, 3, 3])],
      tolerance: 1e-5,
    })),
  ),
);

export const reduce: Case[] = [
  ...all,
  ...ranked,
  ...softmaxes,
  ...[true, false].map(
    (sorted): Case => ({
      name: `topk, sorted: ${sorted}`,
      // Their order is open where they are not sorted.
      fn: (x) => {
        const { values, indices } = tf.topk(x, 3, sorted);
        return sorted ? [values, indices] : [tf.sum(values, -1), tf.sum(indices, -1)];
      },
      inputs: [floats([4, 7])],
      gradient: false,
    }),
  ),
  { name: 'topk of ties', fn: (x) => tf.topk(x, 5).indices, inputs: [ints([6, 40])], gradient: false },
  ...cumulative,
  { name: 'sum of booleans', fn: (x) => [tf.sum(x, 0), tf.sum(x)], inputs: [bools([5, 4])] },
  { name: 'mean of booleans', fn: (x) => tf.mean(x, 1), inputs: [bools([5, 4])] },
  { name: 'cumsum of integers', fn: (x) => tf.cumsum(x, 1), inputs: [ints([3, 4])] },
  {
    name: 'softmax of large and masked logits',
    fn: (x) => [
      tf.softmax(tf.mul(x, 1000)),
      tf.softmax(tf.where(tf.tensor1d([true, false, true, true], 'bool'), x, tf.scalar(-1e9))),
    ],
    inputs: [floats([3, 4])],
    tolerance: 1e-5,
  },
  {
    name: 'moments and norms',
    fn: (x) => [tf.moments(x, -1).variance, tf.norm(x, 'euclidean', -1)],
    inputs: [floats([4, 6])],
    tolerance: 1e-5,
  },
];
