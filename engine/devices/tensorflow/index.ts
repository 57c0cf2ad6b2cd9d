import { messageOf } from '../../../common/errors.ts';
import type { Device, DeviceOptions, Probe } from '../contract.ts';
import { eagerDevice } from '../eager.ts';
import { BACKEND, loadTensorflow, type Tensorflow } from './binding.ts';

/** TensorFlow's kernels, called operation by operation through tfjs-node. @throws UserError where it does not load */
export function tensorflowDevice(options: DeviceOptions = {}, reason = 'as asked'): Device {
  const what = inWords(loadTensorflow(options.threads));
  return eagerDevice(BACKEND, options, { name: 'tensorflow', reason: `${reason}; ${what}` });
}

function inWords({ binding: { path, setup }, gpu }: Tensorflow): string {
  return `TensorFlow${setup ? ` ${setup.tensorflow}` : ` of ${path}`} on ${gpu ? 'a GPU' : 'the processor'}`;
}

/** Whether TensorFlow can be loaded here. */
export async function probeTensorflow(): Promise<Probe> {
  try {
    const tensorflow = loadTensorflow();
    return { works: true, why: inWords(tensorflow), card: tensorflow.gpu };
  } catch (error) {
    return { works: false, why: messageOf(error) };
  }
}
