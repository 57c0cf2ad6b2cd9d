import { tf } from '../../../engine/index.ts';
import { bools, type Case, floats, ints } from '../support/agree.ts';

const permutations = (axes: number[]): number[][] =>
  axes.length < 2
    ? [axes]
    : axes.flatMap((a) => permutations(axes.filter((b) => b !== a)).map((rest) => [a, ...rest]));

const transposes: Case[] = ([[4], [2, 3], [1, 3], [2, 1, 3], [2, 3, 4], [2, 1, 3, 1]] as number[][]).flatMap(
  (shape) =>
    permutations(shape.map((_, i) => i)).map((perm) => ({
      name: `transpose [${shape}] by [${perm}]`,
      fn: (x: tf.Tensor) => tf.transpose(x, perm),
      inputs: [floats(shape)],
    })),
);

const SLICES: [begin: number[], size: number[]][] = [
  [
    [0, 0, 0],
    [3, 4, 5],
  ],
  [
    [1, 2, 3],
    [2, 1, 2],
  ],
  [
    [0, 1, 0],
    [3, 2, 5],
  ],
  [
    [2, 0, 4],
    [-1, -1, -1],
  ],
  [
    [1, 0, 0],
    [1, 4, 5],
  ],
];
const slices: Case[] = [
  ...SLICES.map(([begin, size]) => ({
    name: `slice [${begin}] size [${size}]`,
    fn: (x: tf.Tensor) => tf.slice(x, begin, size),
    inputs: [floats([3, 4, 5])],
  })),
  {
    name: 'slice of leading axes only',
    fn: (x) => [tf.slice(x, 1, 2), tf.slice(x, [1, 2])],
    inputs: [floats([3, 4, 5])],
  },
  {
    name: 'slice of integers and booleans',
    fn: (x, y) => [tf.slice(x, 1), tf.slice(y, 0, 2)],
    inputs: [ints([4]), bools([4])],
  },
  {
    name: 'overlapping slices, added',
    fn: (x) => tf.add(tf.slice(x, [0], [4]), tf.slice(x, [1], [4])),
    inputs: [floats([5])],
  },
];

type Strided = Parameters<typeof tf.stridedSlice>;
type Rest = Strided extends [unknown, ...infer R] ? R : never;
const STRIDED: Rest[] = [
  [
    [0, 0],
    [4, 5],
    [1, 1],
  ],
  [
    [0, 1],
    [4, 5],
    [2, 3],
  ],
  [
    [3, 4],
    [0, 0],
    [-1, -2],
  ],
  [
    [3, 4],
    [-5, -6],
    [-1, -1],
  ],
  [
    [-1, -1],
    [-5, -6],
    [-2, -3],
  ],
  [[0, 0], [0, 0], [-1, -1], 3, 3],
  [[1, 1], [3, 3], [1, 1], 1, 2],
  [[1, 0], [2, 5], [1, 1], 0, 0, 0, 0, 1],
  [[-2, 0], [4, 5], [1, 1], 0, 0, 0, 0, 2],
  [[0, 0, 1], [1, 4, 4], [1, 1, 1], 0, 0, 0, 1],
  [[0, 1], [0, 4], [1, 2], 0, 0, 1],
  [
    [-100, 1],
    [100, 3],
    [1, 1],
  ],
];
const stridedSlices: Case[] = STRIDED.map((rest) => ({
  name: `stridedSlice ${JSON.stringify(rest)}`,
  fn: (x: tf.Tensor) => tf.stridedSlice(x, ...rest),
  inputs: [floats([4, 5])],
  gradient: false,
}));

const joined: Case[] = [0, 1, 2, -1].flatMap((axis): Case[] => [
  {
    name: `concat along ${axis}`,
    fn: (a, b) => [tf.concat([a, b, a], axis), tf.concat([a], axis)],
    inputs: [floats([2, 3, 4]), floats([2, 3, 4], { seed: 2 })],
  },
  {
    name: `stack along ${axis}`,
    fn: (a, b) => [tf.stack([a, b, a], axis), tf.stack([a], axis)],
    inputs: [floats([2, 3]), floats([2, 3], { seed: 2 })],
  },
  { name: `unstack along ${axis}`, fn: (a) => tf.unstack(a, axis), inputs: [floats([2, 3, 4])] },
  { name: `unstack of one along ${axis}`, fn: (a) => tf.unstack(a, axis), inputs: [floats([1, 1, 1])] },
  {
    name: `split along ${axis}`,
    fn: (a) => [...tf.split(a, 2, axis), ...tf.split(a, 1, axis), ...tf.split(a, [1, -1, 2], axis)],
    inputs: [floats([4, 4, 4])],
  },
  {
    name: `one part of a split along ${axis}`,
    fn: (a) => tf.split(a, 4, axis)[2],
    inputs: [floats([4, 4, 4])],
  },
  { name: `reverse along ${axis}`, fn: (a) => tf.reverse(a, axis), inputs: [floats([2, 3, 4])] },
]);

const repeated: Case[] = [
  ...(
    [
      [1, 1, 1],
      [2, 1, 3],
      [1, 4, 1],
      [3, 2, 2],
    ] as number[][]
  ).map((reps) => ({
    name: `tile by [${reps}]`,
    fn: (x: tf.Tensor) => tf.tile(x, reps),
    inputs: [floats([2, 1, 3])],
  })),
  ...(
    [
      [[3], [2, 3]],
      [
        [2, 1],
        [2, 3],
      ],
      [[], [2, 3]],
      [
        [1, 3],
        [4, 2, 3],
      ],
      [
        [2, 3],
        [2, 3],
      ],
    ] as number[][][]
  ).map(([from, to]) => ({
    name: `broadcast [${from}] to [${to}]`,
    fn: (x: tf.Tensor) => tf.broadcastTo(x, to),
    inputs: [floats(from)],
  })),
  {
    name: 'tile and broadcast of constants',
    fn: () => [
      tf.tile(tf.ones([2]), [3]),
      tf.broadcastTo(tf.scalar(2), [2, 3]),
      tf.tile(tf.tensor1d([1, 2]), [2]),
    ],
    inputs: [],
  },
  ...(
    [
      [
        [0, 0],
        [0, 0],
      ],
      [
        [1, 0],
        [0, 2],
      ],
      [
        [2, 1],
        [1, 1],
      ],
    ] as [number, number][][]
  ).map((paddings) => ({
    name: `pad by ${JSON.stringify(paddings)}`,
    fn: (x: tf.Tensor) => [tf.pad(x, paddings), tf.pad(x, paddings, -1.5)],
    inputs: [floats([2, 3])],
  })),
  { name: 'pad of integers', fn: (x) => tf.pad(x, [[1, 2]], -7), inputs: [ints([4])] },
  {
    name: 'reverse of all axes',
    fn: (x) => [tf.reverse(x), tf.reverse(x, [0, 2])],
    inputs: [floats([2, 3, 4])],
  },
];

export const shape: Case[] = [
  ...transposes,
  ...slices,
  ...stridedSlices,
  ...joined,
  ...repeated,
  {
    name: 'reshape',
    fn: (x) => [tf.reshape(x, [4, 6]), tf.reshape(x, [-1, 2]), tf.reshape(x, [2, 3, 4]), tf.reshape(x, [24])],
    inputs: [floats([2, 3, 4])],
  },
  {
    name: 'reshape of a constant',
    fn: (x) => tf.add(tf.reshape(tf.fill([6], 2), [2, 3]), x),
    inputs: [floats([2, 3])],
  },
  {
    name: 'squeeze and flatten',
    fn: (x) => [tf.squeeze(x), tf.squeeze(x, [1]), x.flatten()],
    inputs: [floats([2, 1, 3, 1])],
  },
  {
    name: 'expandDims',
    fn: (x) => [
      tf.expandDims(x, 0),
      tf.expandDims(x, 1),
      tf.expandDims(x, 2),
      tf.expandDims(x, -1),
      tf.expandDims(x, -2),
    ],
    inputs: [floats([2, 3])],
  },
  {
    name: 'concat of unequal lengths',
    fn: (a, b, c) => tf.concat([a, b, c], 1),
    inputs: [floats([2, 3]), floats([2, 1]), floats([2, 5])],
  },
  {
    name: 'concat with an empty part',
    fn: (a) => [tf.concat([a, tf.zeros([0, 3])], 0), tf.concat([tf.zeros([0, 3]), tf.zeros([0, 3])], 0)],
    inputs: [floats([2, 3])],
    gradient: false,
  },
  { name: 'concat of integers', fn: (a, b) => tf.concat([a, b], 0), inputs: [ints([2]), ints([3])] },
  {
    name: 'range',
    fn: (x) => [tf.range(0, 5), tf.add(tf.range(3, -3, -2, 'int32'), x)],
    inputs: [ints([3])],
  },
  {
    name: 'a causal mask',
    fn: (x) =>
      tf.where(tf.greaterEqual(tf.expandDims(tf.range(0, 4), 1), tf.range(0, 4)), x, tf.scalar(-1e9)),
    inputs: [floats([2, 4, 4])],
  },
];
