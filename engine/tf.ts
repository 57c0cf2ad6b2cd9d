/** tfjs with all of its gradients ('@tensorflow/tfjs': the core package alone registers none), without its banner. */
import * as tf from '@tensorflow/tfjs';

// Production mode also skips tfjs's own NaN and shape re-checks of every kernel's output.
tf.enableProdMode();
// The host backend: eager code, constants and the oracle of the tests.
await tf.setBackend('cpu');

export { tf };
