import {
  dropout,
  gelu,
  hardSigmoid,
  layerNorm,
  linearCrossEntropy,
  noise,
  tf,
} from '../../../engine/index.ts';
import { type Case, floats, ints, vector } from '../support/agree.ts';

// The engine's own kernels against their eager forms; ops.test.ts holds both against plain tf operations.
export const own: Case[] = [
  ...([[5], [4, 6], [2, 3, 8], [300, 64]] as number[][]).flatMap((shape): Case[] => [
    {
      name: `layerNorm [${shape}]`,
      fn: (x, scale, offset) => layerNorm(x, scale, offset, 1e-5),
      inputs: [floats(shape), floats([shape.at(-1)!], { seed: 2 }), floats([shape.at(-1)!], { seed: 3 })],
      tolerance: 1e-4,
    },
    { name: `gelu [${shape}]`, fn: (x) => gelu(x), inputs: [floats(shape, { low: -5, high: 5 })] },
    {
      name: `hardSigmoid [${shape}]`,
      fn: (x) => hardSigmoid(x, 0.4, 0.3),
      inputs: [floats(shape)],
      gradient: false,
    },
    { name: `dropout [${shape}]`, fn: (x) => dropout(dropout(x, 0.4), 0.1), inputs: [floats(shape)] },
    { name: `noise [${shape}]`, fn: (x) => noise(x.shape), inputs: [floats(shape)], gradient: false },
  ]),
  {
    name: 'hardSigmoid as a comparison with zero',
    fn: (x) => hardSigmoid(x, 2 ** 126, 2 ** -10),
    inputs: [vector(0, -0, 1, -1, 2 ** -105, -(2 ** -105), 3e38, -3e38, 1e-7, -1e-7)],
    gradient: false,
    tolerance: 0,
  },
  ...[undefined, 4, 7].map(
    (chunk): Case => ({
      name: `linearCrossEntropy, ${chunk ?? 'all'} rows at once`,
      fn: (h, items, target) =>
        linearCrossEntropy(h as tf.Tensor2D, items as tf.Tensor2D, target as tf.Tensor1D, tf.range(0, 8), {
          chunk,
        }),
      inputs: [floats([8, 5]), floats([9, 5], { seed: 2 }), ints([8], { low: 0, high: 9 })],
      tolerance: 1e-5,
    }),
  ),
  ...[undefined, 3].map(
    (chunk): Case => ({
      name: `linearCrossEntropy with a bias, ${chunk ?? 'all'} rows at once`,
      fn: (h, items, bias, target) =>
        linearCrossEntropy(h as tf.Tensor2D, items as tf.Tensor2D, target as tf.Tensor1D, tf.range(0, 8), {
          chunk,
          bias: bias as tf.Tensor1D,
        }),
      inputs: [
        floats([8, 5]),
        floats([9, 5], { seed: 2 }),
        floats([9], { seed: 3 }),
        ints([8], { low: 0, high: 9 }),
      ],
      tolerance: 1e-5,
    }),
  ),
  {
    name: 'linearCrossEntropy, tile by tile',
    fn: (h, items, target) =>
      linearCrossEntropy(h as tf.Tensor2D, items as tf.Tensor2D, target as tf.Tensor1D, tf.range(0, 8), {
        form: 'tiles',
      }),
    inputs: [floats([8, 5]), floats([9, 5], { seed: 2 }), ints([8], { low: 0, high: 9 })],
    tolerance: 1e-5,
  },
];
