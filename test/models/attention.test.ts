import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { dropout, normal, Parameters, tf, withRandomness } from '../../engine/index.ts';
import { attention } from '../../models/attention.ts';

const [BATCH, LENGTH, D, HEADS, RATE] = [3, 4, 6, 2, 0.4];
const lengths = [4, 1, 3];

/** The textbook's form: queries, keys and values of all positions, with all biases, masked and dropped the same way. */
function plainly(p: Parameters, x: tf.Tensor, only: boolean): tf.Tensor {
  const project = (part: string) => {
    const [weight, bias] = ['weight', 'bias'].map((kind) => p.get(`a.${part}.${kind}`).variable);
    const y = tf.add(tf.matMul(tf.reshape(x, [-1, D]), weight as tf.Tensor as tf.Tensor2D), bias);
    return tf.transpose(tf.reshape(y, [BATCH, LENGTH, HEADS, D / HEADS]), [0, 2, 1, 3]);
  };
  const logits = tf.div(tf.matMul(project('query'), project('key'), false, true), Math.sqrt(D / HEADS));
  const later = tf.sub(1, tf.linalg.bandPart(tf.ones([LENGTH, LENGTH]), -1, 0));
  const weights = tf.softmax(tf.sub(logits, tf.mul(later, 1e9)));
  const dropped = only
    ? tf.mul(weights, tf.reshape(dropout(tf.ones([BATCH, HEADS, LENGTH]), RATE), [BATCH, HEADS, 1, LENGTH]))
    : dropout(weights, RATE);
  const mixed = tf.transpose(tf.matMul(dropped, project('value')), [0, 2, 1, 3]);
  return tf.reshape(mixed, [BATCH * LENGTH, D]);
}

for (const only of [false, true])
  test(`attention after ${only ? 'the last position' : 'every position'}: values, gradients, dropout`, () => {
    const p = new Parameters({ seed: 1 });
    const config = { hiddenSize: D, heads: HEADS, attentionDropout: RATE };
    const attend = attention(p, 'a', config);
    const random = new Parameters({ seed: 2 });
    for (const { name, shape, variable } of p.all())
      variable.assign(random.create(name, [...shape], normal(1)));
    const x = random.create('x', [BATCH, LENGTH, D], normal(1));
    const rows = tf.tensor1d(
      lengths.map((n, row) => row * LENGTH + n - 1),
      'int32',
    );
    const ours = () => {
      if (!only) return attend(x as tf.Tensor as tf.Tensor3D, true);
      const vectors = tf.gather(tf.reshape(x, [BATCH * LENGTH, D]), rows) as tf.Tensor2D;
      const last = { rows, lengths: tf.tensor1d(lengths, 'int32'), vectors };
      return attend(x as tf.Tensor as tf.Tensor3D, true, last);
    };
    const expected = () => (only ? tf.gather(plainly(p, x, only), rows) : plainly(p, x, only));
    const outcome = (of: () => tf.Tensor) =>
      withRandomness({ seed: 3, step: 1 }, () => {
        const y = of();
        return { y, weighed: tf.sum(tf.mul(y, tf.sin(tf.range(0, y.size)).reshape(y.shape))) as tf.Scalar };
      });
    close(outcome(ours).y, outcome(expected).y, 'values');
    const slopes = (of: () => tf.Tensor) => tf.variableGrads(() => outcome(of).weighed).grads;
    const [actual, wanted] = [slopes(ours), slopes(expected)];
    for (const { name, variable } of [...p.all(), random.get('x')])
      close(actual[variable.name] ?? tf.zeros(variable.shape), wanted[variable.name], `gradient of ${name}`);
  });

function close(actual: tf.Tensor, expected: tf.Tensor, what: string): void {
  assert.equal(actual.shape, expected.shape, what);
  const error = tf.max(tf.abs(tf.sub(actual, expected))).dataSync()[0];
  const size = 1 + tf.max(tf.abs(expected)).dataSync()[0];
  assert.ok(error < 1e-5 * size, `${what} is off by ${error}`);
}

test.run();
