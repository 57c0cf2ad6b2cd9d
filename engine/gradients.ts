import { tf } from './tf.ts';

// tfjs hands the gradient of an operation with a list of outputs a bare tensor where the list has one element, and its
// own gradients of split and unstack fail on it: a model with one time step could not be trained.
const asList = (dy: tf.Tensor | tf.Tensor[]): tf.Tensor[] => (Array.isArray(dy) ? dy : [dy]);

tf.registerGradient({
  kernelName: 'SplitV',
  gradFunc: (dy, _saved, attrs) => ({
    x: () => tf.concat(asList(dy), (attrs as unknown as { axis: number }).axis),
  }),
});
tf.registerGradient({
  kernelName: 'Unpack',
  gradFunc: (dy, _saved, attrs) => ({
    value: () => tf.stack(asList(dy), (attrs as unknown as { axis: number }).axis),
  }),
});

// tfjs has no gradient of comparisons, and so none of a model that masks by its own values. They are constant but for
// jumps: their gradient is zero.
for (const kernelName of [
  'Greater',
  'GreaterEqual',
  'Less',
  'LessEqual',
  'Equal',
  'NotEqual',
  'LogicalAnd',
  'LogicalOr',
]) {
  tf.registerGradient({
    kernelName,
    inputsToSave: ['a', 'b'],
    gradFunc: (_dy, [a, b]) => ({ a: () => tf.zeros(a.shape), b: () => tf.zeros(b.shape) }),
  });
}
tf.registerGradient({
  kernelName: 'LogicalNot',
  inputsToSave: ['x'],
  gradFunc: (_dy, [x]) => ({ x: () => tf.zeros(x.shape) }),
});
