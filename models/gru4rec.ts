import { z } from 'zod';
import {
  dropout,
  gru,
  type Initializer,
  linear,
  type Parameters,
  tf,
  uniform,
  xavierNormal,
  xavierUniform,
} from '../engine/index.ts';
import { defineModel } from './contract.ts';
import { rate } from './settings.ts';

/** GRU4Rec (Hidasi et al., 2016) in RecBole's form: dropout on item embeddings, GRU, dense layer back to their width. */
export default defineModel({
  name: 'gru4rec',
  summary: 'GRU4Rec: a gated recurrent network over learned item embeddings',
  input: 'id',
  config: z.strictObject({
    embeddingSize: z.int().positive().default(64).describe('width of item vectors'),
    hiddenSize: z.int().positive().default(128).describe('width of the recurrent state'),
    layers: z.int().positive().default(1).describe('number of recurrent layers'),
    dropout: rate(0.3).describe('dropout of the item embeddings of a history'),
  }),
  build({ embeddingSize, hiddenSize, layers, dropout: dropRate }, { itemCount, parameters }) {
    const table = parameters.create('item.weight', [itemCount, embeddingSize], xavierNormal, {
      perItem: true,
    }) as tf.Tensor as tf.Tensor2D;
    const recurrent = Array.from({ length: layers }, (_, i) =>
      gruLayer(parameters, `gru.${i}`, i === 0 ? embeddingSize : hiddenSize, hiddenSize),
    );
    const bound = uniform(1 / Math.sqrt(hiddenSize));
    const weight = parameters.create(
      'dense.weight',
      [hiddenSize, embeddingSize],
      bound,
    ) as tf.Tensor as tf.Tensor2D;
    const bias = parameters.create('dense.bias', [embeddingSize], bound);
    return {
      items: (items) => items.rows(table),
      sequence(history, { training }) {
        const input = training ? dropout(history.vectors, dropRate) : history.vectors;
        const lengths = history.last && history.lengths;
        // Time-major between layers: a step's rows are contiguous.
        const states = recurrent.reduce<tf.Tensor>(
          (x, layer, i) => layer(x as tf.Tensor3D, i === layers - 1 ? lengths : undefined),
          tf.transpose(input, [1, 0, 2]),
        );
        const wanted = lengths ? tf.expandDims(states, 1) : tf.transpose(states, [1, 0, 2]);
        return linear(wanted, weight, bias) as tf.Tensor3D;
      },
    };
  },
});

/** One layer of gated recurrent units, with PyTorch's initial values. */
function gruLayer(p: Parameters, name: string, from: number, size: number) {
  const bound = uniform(1 / Math.sqrt(size));
  const create = (part: string, shape: number[], initial: Initializer) =>
    p.create(`${name}.${part}`, shape, initial) as tf.Tensor;
  const weights = {
    input: create('input.weight', [from, 3 * size], xavierUniform) as tf.Tensor2D,
    inputBias: create('input.bias', [3 * size], bound) as tf.Tensor1D,
    hidden: create('hidden.weight', [size, 3 * size], xavierUniform) as tf.Tensor2D,
    hiddenBias: create('hidden.bias', [3 * size], bound) as tf.Tensor1D,
  };
  return (x: tf.Tensor3D, lengths?: tf.Tensor1D) => gru(x, weights, lengths);
}
