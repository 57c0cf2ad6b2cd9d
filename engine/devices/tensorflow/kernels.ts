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
  binding: Record<'TF_ATTR_INT' | 'TF_ATTR_BOOL' | 'TF_ATTR_TYPE', number>;
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
  const native = tf.engine().findBackend(backendName) as unknown as NativeBackend;
  const { TF_ATTR_INT, TF_ATTR_BOOL, TF_ATTR_TYPE } = native.binding;
  const type = (name: string, { dtype }: Pick<TensorInfo, 'dtype'>) => ({
    name,
    type: TF_ATTR_TYPE,
    value: native.getDTypeInteger(dtype),
  });
  const replace = (kernelName: string, make: (own: KernelFunc) => KernelFunc) => {
    const own = tf.getKernel(kernelName, backendName).kernelFunc;
    tf.unregisterKernel(kernelName, backendName);
    tf.registerKernel({ kernelName, backendName, kernelFunc: make(own) });
  };

  // tfjs-node's own waits for the indices, to look at each of them in JavaScript, and knows no negative axis.
  replace('GatherV2', () => ({ inputs, attrs }) => {
    const { x, indices } = inputs as { x: TensorInfo; indices: TensorInfo };
    const { axis, batchDims } = attrs as { axis: number; batchDims: number };
    const along = tf.scalar(axis, 'int32');
    const attributes = [
      { name: 'batch_dims', type: TF_ATTR_INT, value: batchDims },
      type('Tparams', x),
      type('Tindices', indices),
      type('Taxis', along),
    ];
    const y = native.executeSingleOutput('GatherV2', attributes, [x, indices, along]);
    along.dispose();
    return y;
  });

  // TensorFlow multiplies two matrices faster than two batches of one.
  replace('BatchMatMul', (own) => (call) => {
    const { a, b } = call.inputs as { a: TensorInfo; b: TensorInfo };
    if (a.shape.length !== 2 || b.shape.length !== 2) return own(call);
    const { transposeA, transposeB } = call.attrs as { transposeA: boolean; transposeB: boolean };
    const attributes = [
      type('T', a),
      { name: 'transpose_a', type: TF_ATTR_BOOL, value: transposeA },
      { name: 'transpose_b', type: TF_ATTR_BOOL, value: transposeB },
    ];
    return native.executeSingleOutput('MatMul', attributes, [a, b]);
  });

  // Whole numbers in tfjs.
  replace('FloorDiv', (own) => (call) => tf.tidy(() => tf.cast(own(call) as tf.Tensor, 'int32')));
}
