/** tfjs with all of its gradients ('@tensorflow/tfjs': the core package alone registers none), without its banner. */
import * as tf from '@tensorflow/tfjs';
import { fromFloat16 } from '../common/half.ts';
import type { HostTensor } from './graph.ts';

// Production mode also skips tfjs's own NaN and shape re-checks of every kernel's output.
tf.enableProdMode();
// The host backend: eager code, constants and the oracle of the tests.
await tf.setBackend('cpu');

/** A tensor in host memory as one of the current backend, halves as what functions compute with: float32. */
export function tensorOf({ data, shape, dtype }: HostTensor): tf.Tensor {
  if (dtype === 'float16') return tf.tensor(fromFloat16(data as Uint16Array), [...shape], 'float32');
  return tf.tensor(data as tf.BackendValues as Float32Array, [...shape], dtype);
}

export { tf };
