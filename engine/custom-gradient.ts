import { tf } from './tf.ts';

/** An operation's value, what its gradient needs of the way there, and the gradient itself. */
export interface WithGradient {
  value: tf.Tensor;
  saved: tf.Tensor[];
  /**
   * @param dy of the value's shape
   * @param saved as above; a gradient may use nothing else that was computed
   * @returns one gradient an input, in their order
   */
  gradient(dy: tf.Tensor, saved: tf.Tensor[]): tf.Tensor[];
}

/** An operation whose gradient is written out: `tf.customGrad` with types. */
export function customGradient(
  inputs: readonly tf.Tensor[],
  forward: (inputs: tf.Tensor[]) => WithGradient,
): tf.Tensor {
  const op = tf.customGrad((...args) => {
    const save = args.at(-1) as tf.GradSaveFunc;
    const { value, saved, gradient } = forward(args.slice(0, -1) as tf.Tensor[]);
    save(saved);
    return { value, gradFunc: gradient as never };
  });
  return op(...inputs);
}
