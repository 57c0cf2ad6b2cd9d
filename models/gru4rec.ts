import { z } from 'zod';
import {
  dropout,
  linear,
  type Parameters,
  tf,
  uniform,
  xavierNormal,
  xavierUniform,
} from '../engine/index.ts';
import { defineModel, type History } from './contract.ts';
import { wantedPositions } from './layers.ts';
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
      gru(parameters, `gru.${i}`, i === 0 ? embeddingSize : hiddenSize, hiddenSize),
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
        const states = recurrent.reduce((x, layer) => layer(x, history), input);
        return linear(wantedPositions(states, history), weight, bias) as tf.Tensor3D;
      },
    };
  },
});

/** One GRU layer (Cho et al., 2014; the reset gate inside the candidate's recurrent term, as cuDNN and PyTorch have it). */
function gru(p: Parameters, name: string, from: number, size: number) {
  const bound = uniform(1 / Math.sqrt(size));
  const input = p.create(`${name}.input.weight`, [from, 3 * size], xavierUniform) as tf.Tensor as tf.Tensor2D;
  const inputBias = p.create(`${name}.input.bias`, [3 * size], bound);
  const hidden = p.create(
    `${name}.hidden.weight`,
    [size, 3 * size],
    xavierUniform,
  ) as tf.Tensor as tf.Tensor2D;
  const hiddenBias = p.create(`${name}.hidden.bias`, [3 * size], bound);

  return (x: tf.Tensor3D, { batch, length }: History): tf.Tensor3D => {
    // Time-major, so that one product serves all steps and a step's rows are contiguous.
    const projected = linear(tf.transpose(x, [1, 0, 2]), input, inputBias);
    const steps = tf.unstack(projected) as tf.Tensor2D[];
    const states: tf.Tensor2D[] = [];
    let h = tf.zeros([batch, size]) as tf.Tensor2D;
    for (let t = 0; t < length; t++) {
      const [gatesX, candidateX] = tf.split(steps[t], [2 * size, size], 1);
      const [gatesH, candidateH] = tf.split(linear(h, hidden, hiddenBias), [2 * size, size], 1);
      const [reset, update] = tf.split(tf.sigmoid(tf.add(gatesX, gatesH)), 2, 1);
      const candidate = tf.tanh(tf.add(candidateX, tf.mul(reset, candidateH)));
      h = tf.add(candidate, tf.mul(update, tf.sub(h, candidate)));
      states.push(h);
    }
    return tf.transpose(tf.stack(states), [1, 0, 2]) as tf.Tensor3D;
  };
}
