import { test } from 'uvu';
import { gru, type HostTensor, tensorOf, tf } from '../../engine/index.ts';
import { agrees, type Case, close, eagerly, floats, intVector, withGradients } from './support/agree.ts';

type Layer = Case['fn'];

const [BATCH, FROM, SIZE] = [3, 4, 2];
const inputs = (length: number): HostTensor[] => [
  floats([length, BATCH, FROM]),
  floats([FROM, 3 * SIZE], { seed: 2 }),
  floats([3 * SIZE], { seed: 3 }),
  floats([SIZE, 3 * SIZE], { seed: 4 }),
  floats([3 * SIZE], { seed: 5 }),
];

/** PyTorch's documented formulas, differentiated by tfjs. */
const plain =
  (lengths?: number[]): Layer =>
  (x, input, inputBias, hidden, hiddenBias) => {
    const states: tf.Tensor[] = [];
    let h = tf.zeros([BATCH, SIZE]);
    for (const xt of tf.unstack(x)) {
      const [resetX, updateX, candidateX] = tf.split(tf.add(tf.dot(xt, input), inputBias), 3, 1);
      const [resetH, updateH, candidateH] = tf.split(tf.add(tf.dot(h, hidden), hiddenBias), 3, 1);
      const update = tf.sigmoid(tf.add(updateX, updateH));
      const candidate = tf.tanh(tf.add(candidateX, tf.mul(tf.sigmoid(tf.add(resetX, resetH)), candidateH)));
      h = tf.add(tf.mul(tf.sub(1, update), candidate), tf.mul(update, h));
      states.push(h);
    }
    if (!lengths) return tf.stack(states);
    return tf.concat(lengths.map((n, row) => tf.slice(states[n - 1], [row, 0], [1, SIZE])));
  };

const ours =
  (lengths?: number[]): Layer =>
  (x, input, inputBias, hidden, hiddenBias) =>
    gru(
      x as tf.Tensor3D,
      {
        input: input as tf.Tensor2D,
        inputBias: inputBias as tf.Tensor1D,
        hidden: hidden as tf.Tensor2D,
        hiddenBias: hiddenBias as tf.Tensor1D,
      },
      lengths && (tensorOf(intVector(...lengths)) as tf.Tensor1D),
    );

for (const [length, lengths] of [[4], [1], [4, [2, 4, 1]], [2, [2, 2, 2]], [1, [1, 1, 1]]] as [
  number,
  number[]?,
][]) {
  test(`gru over ${length} steps${lengths ? `, states after ${lengths}` : ''}: eager, compiled, gradients`, async () => {
    const given = inputs(length);
    const feeds = Object.fromEntries(given.map((t, i) => [`x${i}`, t]));
    const of = (fn: Layer) => withGradients({ name: '', fn, inputs: given });
    const expected = eagerly(of(plain(lengths)), feeds);
    const eager = eagerly(of(ours(lengths)), feeds);
    for (const name of Object.keys(expected)) close(eager[name], expected[name], 1e-5, `eager ${name}`);
    await agrees(of(ours(lengths)), feeds, 1e-5, expected);
  });
}

test.run();
