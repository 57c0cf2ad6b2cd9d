import type { KernelFunc, TensorInfo } from '@tensorflow/tfjs';
import { nextRandom } from '../../eager.ts';
import type { RandomInput } from '../../graph.ts';
import { drawQuickly } from '../../random-buffers.ts';
import { tf } from '../../tf.ts';

// Our ops on the backend 'tensorflow', made of TensorFlow's own.

/** Logits of an attention that are held at once. */
const LOGITS_BYTES = 256 * 2 ** 20;

/** What tfjs-node's backend has besides tfjs's interface. */
interface NativeBackend {
  binding: { TF_ATTR_INT: number; TF_ATTR_TYPE: number };
  getDTypeInteger(dtype: string): number;
  executeSingleOutput(name: string, attributes: object[], inputs: TensorInfo[]): TensorInfo;
}

/** Registers our ops on tfjs-node's backend, and mends some of its own. */
export function registerKernels(backendName: string): void {
  registerOwn(backendName);
  mend(backendName);
}

function registerOwn(backendName: string): void {
  const register = <Attributes>(
    kernelName: string,
    compute: (inputs: Record<string, tf.Tensor>, attributes: Attributes) => tf.Tensor | tf.Tensor[],
  ) =>
    tf.registerKernel({
      kernelName,
      backendName,
      kernelFunc: ({ inputs, attrs }) =>
        tf.tidy(() => compute(inputs as Record<string, tf.Tensor>, attrs as Attributes)) as
          | TensorInfo
          | TensorInfo[],
    });

  register<RandomInput>('RandomInput', (_, input) => {
    const { data, shape } = nextRandom(input, drawQuickly);
    return tf.tensor(data, [...shape]);
  });

  register<{ epsilon: number }>('LayerNorm', ({ x, scale, offset }, { epsilon }) => {
    const mean = tf.mean(x, -1, true);
    const centred = tf.sub(x, mean);
    const inverse = tf.rsqrt(tf.add(tf.mean(tf.square(centred), -1, true), epsilon));
    return [tf.add(tf.mul(tf.mul(centred, inverse), scale), offset), mean, inverse];
  });

  /** The normal distribution's integral up to x. */
  const cdf = (x: tf.Tensor) => tf.mul(tf.add(tf.erf(tf.mul(x, Math.SQRT1_2)), 1), 0.5);
  register('Gelu', ({ x }) => tf.mul(x, cdf(x)));
  register('GeluSlope', ({ x }) => {
    const density = tf.mul(tf.exp(tf.mul(tf.square(x), -0.5)), 1 / Math.sqrt(2 * Math.PI));
    return tf.add(cdf(x), tf.mul(x, density));
  });

  register<{ slope: number; offset: number }>('HardSigmoid', ({ x }, { slope, offset }) =>
    tf.clipByValue(tf.add(tf.mul(x, slope), offset), 0, 1),
  );

  register('GatherElements', ({ x, indices }) => {
    const [rows, count] = indices.shape;
    const row = tf.range(0, rows, 1, 'int32');
    const places = tf.stack([tf.tile(tf.expandDims(row, 1), [1, count]), indices], 2);
    return tf.gatherND(x, places);
  });

  register<{ transposeA: boolean; transposeB: boolean }>('GemmAccumulate', ({ a, b, c }, attributes) =>
    tf.add(tf.matMul(a, b, attributes.transposeA, attributes.transposeB), c),
  );

  register('SoftmaxAttention', ({ q, k, v }) => {
    const most = Math.max(1, Math.floor(LOGITS_BYTES / (4 * k.shape[0])));
    const parts: tf.Tensor[] = [];
    for (let first = 0; first < q.shape[0]; first += most) {
      const count = Math.min(most, q.shape[0] - first);
      const part = tf.slice(q, [first, 0], [count, q.shape[1]!]);
      parts.push(tf.tidy(() => tf.matMul(tf.softmax(tf.matMul(part, k, false, true)), v)));
    }
    return tf.concat(parts);
  });
}

function mend(backendName: string): void {
  const replace = (kernelName: string, kernelFunc: KernelFunc) => {
    tf.unregisterKernel(kernelName, backendName);
    tf.registerKernel({ kernelName, backendName, kernelFunc });
  };

  // tfjs-node's own waits for the indices, to look at each of them in JavaScript, and knows no negative axis.
  replace('GatherV2', ({ inputs, attrs, backend }) => {
    const { x, indices } = inputs as { x: TensorInfo; indices: TensorInfo };
    const { axis, batchDims } = attrs as { axis: number; batchDims: number };
    const native = backend as NativeBackend;
    const type = (name: string, dtype: string) => ({
      name,
      type: native.binding.TF_ATTR_TYPE,
      value: native.getDTypeInteger(dtype),
    });
    const attributes = [
      { name: 'batch_dims', type: native.binding.TF_ATTR_INT, value: batchDims },
      type('Tparams', x.dtype),
      type('Tindices', indices.dtype),
      type('Taxis', 'int32'),
    ];
    const along = tf.scalar(axis, 'int32');
    const y = native.executeSingleOutput('GatherV2', attributes, [x, indices, along]);
    along.dispose();
    return y;
  });

  // Whole numbers in tfjs.
  const { kernelFunc } = tf.getKernel('FloorDiv', backendName);
  replace('FloorDiv', (call) => tf.tidy(() => tf.cast(kernelFunc(call) as tf.Tensor, 'int32')));
}
