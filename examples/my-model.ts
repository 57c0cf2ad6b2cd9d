import { defineModel, dropout, embedding, norm, ones, rate, tf, z } from 'rec';

/** A Markov chain of higher order, in the manner of Fossil (He and McAuley, 2016): the last items, each with a learned weight. */
export default defineModel({
  name: 'my-model',
  summary: 'the last few items of a history, each with a weight by its distance',
  input: 'id',
  // Settings, checked and documented: `rec models my-model --plugin FILE`, `--set model.order=5`.
  config: z.strictObject({
    hiddenSize: z.int().positive().default(64).describe('width of item and sequence vectors'),
    order: z.int().positive().default(3).describe('how many last items are looked at'),
    dropout: rate(0.3).describe('dropout of item vectors, in training'),
  }),
  build({ hiddenSize, order, dropout: dropRate }, { itemCount, parameters }) {
    // Parameters are made once, under the names that checkpoints have.
    const table = embedding(parameters, 'item', itemCount, hiddenSize, true);
    const weights = parameters.create('weights', [order, hiddenSize], ones);
    const normalize = norm(parameters, 'norm', hiddenSize);
    return {
      // [count, hiddenSize]: the vector of every item given. A model of texts reads `items.text` [count, textDims].
      items: (items) => items.rows(table),
      // [batch, length, hiddenSize]: a vector after EVERY position, which must not depend on later ones.
      sequence({ vectors, batch, length }, { training }) {
        const seen = training ? dropout(vectors, dropRate) : vectors;
        let sum: tf.Tensor = tf.zerosLike(seen);
        for (let k = 0; k < Math.min(order, length); k++) {
          // The items k places back: those that are before the beginning are zero.
          const before = tf.zeros([batch, k, hiddenSize]) as tf.Tensor3D;
          const shifted = tf.concat([before, tf.slice(seen, [0, 0, 0], [batch, length - k, hiddenSize])], 1);
          sum = tf.add(sum, tf.mul(shifted, tf.slice(weights, [k, 0], [1, hiddenSize])));
        }
        return normalize(sum) as tf.Tensor3D;
      },
    };
  },
});
