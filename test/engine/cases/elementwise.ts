import { tf } from '../../../engine/index.ts';
import { bools, type Case, floats, ints, intVector, vector } from '../support/agree.ts';

type Unary = (x: tf.Tensor) => tf.Tensor;
type Binary = (a: tf.Tensor, b: tf.Tensor) => tf.Tensor;

const SHAPES = [[], [7], [2, 3], [3, 1, 4, 2]];
// Large enough for onnxruntime to share it out among threads.
const LARGE = [150, 129];
const POSITIVE = { low: 0.1, high: 3 };
const EDGES = vector(-100, -3, -2.5, -1.5, -1, -0.5, 0, 0.5, 1, 1.5, 2.5, 3, 100);

const REAL: Record<string, Unary> = {
  abs: tf.abs,
  ceil: tf.ceil,
  cos: tf.cos,
  erf: tf.erf,
  exp: tf.exp,
  floor: tf.floor,
  neg: tf.neg,
  relu: tf.relu,
  round: tf.round,
  sigmoid: tf.sigmoid,
  sign: tf.sign,
  sin: tf.sin,
  softplus: tf.softplus,
  tanh: tf.tanh,
  square: tf.square,
  expm1: tf.expm1,
  step: (x) => tf.step(x),
  'step with slope': (x) => tf.step(x, 0.3),
  leakyRelu: (x) => tf.leakyRelu(x, 0.1),
  clipByValue: (x) => tf.clipByValue(x, -0.7, 1),
  clone: (x) => tf.clone(x),
};
const ABOVE_ZERO: Record<string, Unary> = {
  log: tf.log,
  sqrt: tf.sqrt,
  rsqrt: tf.rsqrt,
  log1p: tf.log1p,
  reciprocal: tf.reciprocal,
};
const INTEGER: Record<string, Unary> = {
  abs: tf.abs,
  neg: tf.neg,
  sign: tf.sign,
  square: tf.square,
  relu: tf.relu,
  clipByValue: (x) => tf.clipByValue(x, -2, 3),
};
const rate = (name: string) => (['sin', 'cos'].includes(name) ? 1e-5 : undefined);
const unary: Case[] = [
  ...Object.entries(REAL).flatMap(([name, fn]) => [
    ...SHAPES.map((shape) => ({
      name: `${name} [${shape}]`,
      fn,
      inputs: [floats(shape)],
      tolerance: rate(name),
    })),
    { name: `${name} at edges`, fn, inputs: [EDGES], tolerance: rate(name) },
    {
      name: `${name} of a constant`,
      fn: (x: tf.Tensor) => tf.add(fn(tf.fill([2, 3], -1.5)), x),
      inputs: [floats([3])],
    },
  ]),
  ...Object.entries(ABOVE_ZERO).flatMap(([name, fn]) => [
    ...SHAPES.map((shape) => ({ name: `${name} [${shape}]`, fn, inputs: [floats(shape, POSITIVE)] })),
    { name: `${name} at zero`, fn, inputs: [vector(0, 1)] },
  ]),
  ...Object.entries(INTEGER).map(([name, fn]) => ({
    name: `${name} of integers`,
    fn,
    inputs: [ints([3, 5])],
  })),
  ...[tf.exp, tf.erf, tf.sigmoid].map((fn) => ({
    name: `${fn.name} [${LARGE}]`,
    fn: fn as Unary,
    inputs: [floats(LARGE)],
  })),
  { name: 'logicalNot', fn: (x) => tf.logicalNot(x), inputs: [bools([3, 4])] },
];

const PAIRS: [number[], number[]][] = [
  [
    [2, 3],
    [2, 3],
  ],
  [[2, 3], [3]],
  [[3], [2, 3]],
  [
    [2, 1],
    [1, 3],
  ],
  [[], [2, 3]],
  [[2, 3], []],
  [
    [4, 1, 3],
    [2, 1],
  ],
  [
    [1, 1, 1],
    [2, 3],
  ],
  [[], []],
];
// tfjs's gradients of these do not sum over broadcast axes.
const NARROW = ['maximum', 'minimum', 'squaredDifference'];
const ARITHMETIC: Record<string, Binary> = {
  add: tf.add,
  sub: tf.sub,
  mul: tf.mul,
  div: tf.div,
  maximum: tf.maximum,
  minimum: tf.minimum,
  squaredDifference: tf.squaredDifference,
};
const INTEGRAL: Record<string, Binary> = { floorDiv: tf.floorDiv };
const COMPARISON: Record<string, Binary> = {
  greater: tf.greater,
  greaterEqual: tf.greaterEqual,
  less: tf.less,
  lessEqual: tf.lessEqual,
  equal: tf.equal,
  notEqual: tf.notEqual,
};
const binary: Case[] = [
  ...Object.entries(ARITHMETIC).flatMap(([name, fn]) => [
    ...PAIRS.map(([a, b]) => ({
      name: `${name} [${a}] [${b}]`,
      fn,
      inputs: [floats(a), floats(b, { low: 0.3, seed: 2 })],
      gradient: `${a}` === `${b}` || !NARROW.includes(name),
    })),
    {
      name: `${name} [${LARGE}] [129]`,
      fn,
      inputs: [floats(LARGE), floats([129], POSITIVE)],
      gradient: false,
    },
    { name: `${name} negative`, fn, inputs: [EDGES, floats([13], { low: -3, high: -0.2 })] },
    { name: `${name} of itself`, fn: (x: tf.Tensor) => fn(x, x), inputs: [floats([2, 3], POSITIVE)] },
  ]),
  ...PAIRS.map(([a, b]) => ({
    name: `floorDiv [${a}] [${b}]`,
    fn: tf.floorDiv as Binary,
    inputs: [floats(a, { low: -9, high: 9 }), floats(b, { low: 0.3, seed: 2 })],
    gradient: false,
  })),
  {
    name: 'floorDiv negative',
    fn: tf.floorDiv as Binary,
    inputs: [EDGES, floats([13], { low: -3, high: -0.2 })],
    gradient: false,
  },
  ...PAIRS.map(([a, b]) => ({
    name: `pow [${a}] [${b}]`,
    fn: tf.pow as Binary,
    inputs: [floats(a, POSITIVE), floats(b, { seed: 2 })],
    tolerance: 1e-5,
  })),
  { name: 'pow of negative numbers', fn: (x) => tf.pow(x, 3), inputs: [floats([9])], tolerance: 1e-5 },
  ...Object.entries({ ...ARITHMETIC, ...INTEGRAL, ...COMPARISON }).flatMap(([name, fn]) => [
    ...PAIRS.map(([a, b]) => ({
      name: `${name} of integers [${a}] [${b}]`,
      fn,
      gradient: false,
      inputs: [ints(a), ints(b, { low: 1, high: 5, seed: 2 })],
    })),
    {
      name: `${name} of negative integers`,
      fn,
      gradient: false,
      inputs: [intVector(-7, -6, -1, 0, 1, 7, -7, 6), intVector(2, 3, 5, -4, -4, -2, -2, -3)],
    },
  ]),
  ...Object.entries(COMPARISON).flatMap(([name, fn]) =>
    PAIRS.map(([a, b]) => ({
      name: `${name} [${a}] [${b}]`,
      fn: (x: tf.Tensor, y: tf.Tensor) => fn(tf.round(x), tf.round(y)),
      gradient: false,
      inputs: [floats(a), floats(b, { seed: 2 })],
    })),
  ),
  ...PAIRS.flatMap(([a, b]) => [
    { name: `logicalAnd [${a}] [${b}]`, fn: tf.logicalAnd as Binary, inputs: [bools(a), bools(b, 2)] },
    { name: `logicalOr [${a}] [${b}]`, fn: tf.logicalOr as Binary, inputs: [bools(a), bools(b, 2)] },
  ]),
];

// Operands that the tracer knows to be uniform: what it simplifies must still be right, in type, shape and gradient.
const UNIFORM: [string, () => tf.Tensor][] = [0, 1, -2].flatMap((value) =>
  [[], [3], [2, 1], [2, 3]].map((shape): [string, () => tf.Tensor] => [
    `${value} as [${shape}]`,
    () => tf.fill(shape, value),
  ]),
);
const WITH_UNIFORM: Record<string, Binary> = { ...ARITHMETIC, pow: tf.pow };
const uniform: Case[] = [
  ...Object.entries(WITH_UNIFORM).flatMap(([name, fn]) =>
    UNIFORM.flatMap(([what, make]) => [
      {
        name: `${name}(x, ${what})`,
        fn: (x: tf.Tensor) => fn(x, make()),
        inputs: [floats([2, 3], POSITIVE)],
        tolerance: 1e-5,
      },
      {
        name: `${name}(${what}, x)`,
        fn: (x: tf.Tensor) => fn(make(), x),
        inputs: [floats([2, 3], POSITIVE)],
        tolerance: 1e-5,
      },
    ]),
  ),
  ...Object.entries({ ...WITH_UNIFORM, ...INTEGRAL, ...COMPARISON }).flatMap(([name, fn]) => [
    {
      name: `${name} of two constants`,
      fn: () => UNIFORM.flatMap(([, a]) => [fn(a(), tf.fill([2, 3], 2)), fn(a(), tf.scalar(2))]),
      inputs: [],
    },
    {
      name: `${name} of two constant integers`,
      fn: () => [
        fn(tf.fill([2, 3], -7, 'int32'), tf.fill([2, 3], 2, 'int32')),
        fn(tf.scalar(1, 'int32'), tf.fill([2], 3, 'int32')),
      ],
      inputs: [],
    },
    {
      name: `${name}(x, constant) of integers`,
      fn: (x: tf.Tensor) => [fn(x, tf.ones([3], 'int32')), fn(tf.zeros([2, 3], 'int32'), x)],
      inputs: [ints([2, 3], { low: 1 })],
    },
  ]),
  {
    name: 'the initial gradient of a long chain',
    fn: (x, y) =>
      tf.mul(tf.sub(tf.add(tf.mul(x, 1), 0), tf.zeros([4, 3])), tf.add(tf.onesLike(x), tf.zerosLike(y))),
    inputs: [floats([4, 3]), floats([4, 3], { seed: 2 })],
  },
];

const DTYPES = ['float32', 'int32', 'bool'] as const;
const sample = { float32: EDGES, int32: ints([7]), bool: bools([7]) };
const other: Case[] = [
  ...DTYPES.flatMap((from) =>
    DTYPES.map((to) => ({
      name: `cast ${from} to ${to}`,
      fn: (x: tf.Tensor) => tf.cast(x, to),
      gradient: from === 'float32' && to === 'float32',
      inputs: [sample[from]],
    })),
  ),
  ...DTYPES.map((dtype) => ({
    name: `fills of ${dtype}`,
    fn: (x: tf.Tensor) => [
      tf.zerosLike(x),
      tf.onesLike(x),
      tf.fill([2, 50], 1, dtype),
      tf.zeros([3], dtype),
      tf.ones([], dtype),
    ],
    gradient: false,
    inputs: [sample[dtype]],
  })),
  ...SHAPES.map((shape) => ({
    name: `where [${shape}]`,
    fn: (c: tf.Tensor, t: tf.Tensor, e: tf.Tensor) => tf.where(c, t, e),
    inputs: [bools(shape), floats(shape), floats(shape, { seed: 2 })],
  })),
  {
    name: 'where, broadcasting each operand',
    fn: (c, t, e) => [
      tf.where(c, t, e),
      tf.where(tf.reshape(c, [1, 4]), tf.scalar(0), t),
      tf.where(c, t, tf.fill([3, 4], -1e9)),
    ],
    inputs: [bools([4]), floats([3, 4]), floats([3, 1], { seed: 2 })],
  },
  ...(['int32', 'bool'] as const).map((dtype) => ({
    name: `where of ${dtype}`,
    fn: (c: tf.Tensor, t: tf.Tensor) => tf.where(c, t, tf.zerosLike(t)),
    inputs: [bools([7], 3), sample[dtype]],
  })),
  {
    name: 'addN',
    fn: (a, b, c) => tf.addN([a, b, c, a, tf.ones([2, 3])]),
    inputs: [1, 2, 3].map((seed) => floats([2, 3], { seed })),
  },
  { name: 'addN of one', fn: (a) => tf.addN([a]), inputs: [floats([2, 3])] },
  {
    name: 'addN of integers',
    fn: (a, b) => tf.addN([a, b, a]),
    inputs: [ints([2, 3]), ints([2, 3], { seed: 2 })],
  },
];

export const elementwise: Case[] = [...unary, ...binary, ...uniform, ...other];
