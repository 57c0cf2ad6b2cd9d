import type { InferenceSession, Tensor } from 'onnxruntime-node';
import { messageOf, UserError } from '../../../common/errors.ts';
import { type DType, Graph, type HostTensor } from '../../graph.ts';
import { encodeOnnx } from '../../onnx.ts';

// What onnxruntime's WebGPU provider is told, and how tensors come to the card and back.

/** A tensor of onnxruntime's, on the card or in host memory. */
export type GpuTensor = Tensor;

export interface SessionOptions {
  /** Outputs that stay on the card; the others come back to host memory. */
  resident?: Iterable<string>;
  /** True refuses graphs of which a part would run on the processor. */
  strict?: boolean;
}

/** A session on the card. All sessions of a process share one WebGPU device, and so their buffers. */
export async function createGpuSession(
  onnx: Uint8Array,
  { resident = [], strict = false }: SessionOptions = {},
): Promise<InferenceSession> {
  const ort = await import('onnxruntime-node');
  return ort.InferenceSession.create(onnx, {
    executionProviders: ['webgpu'],
    graphOptimizationLevel: 'all',
    preferredOutputLocation: Object.fromEntries([...resident].map((name) => [name, 'gpu-buffer' as const])),
    intraOpNumThreads: 1,
    interOpNumThreads: 1,
    logSeverityLevel: 3,
    extra: { session: { intra_op: { allow_spinning: '0' }, disable_cpu_ep_fallback: strict ? '1' : '0' } },
  }).catch((error) => {
    throw new UserError(`onnxruntime refused a graph on device 'webgpu': ${messageOf(error)}`, {
      cause: error,
    });
  });
}

/** Runs a session; errors say what to lower where the card's memory did not suffice. */
export async function runGpu(
  session: InferenceSession,
  feeds: Record<string, GpuTensor>,
): Promise<Record<string, GpuTensor>> {
  return session.run(feeds).catch((error) => {
    throw explain(error);
  });
}

function explain(error: unknown): UserError {
  const message = messageOf(error);
  const cause = { cause: error };
  const lower =
    'lower train.batchSize (or train.maxHistory); for a loss over fewer items set loss.type=sampled; for encoders lower ' +
    'encoder.batchTokens, for pretraining train.memoryMb';
  if (/too many storage buffers|maxStorageBufferBindingSize|maxBufferSize|max_buffer_size/i.test(message))
    return new UserError(
      `a tensor is larger than the card can bind: ${lower} (onnxruntime: ${message})`,
      cause,
    );
  if (/out of memory|outofmemory|failed to allocate|device.{0,20}lost/i.test(message))
    return new UserError(`the card's memory does not suffice: ${lower} (onnxruntime: ${message})`, cause);
  return new UserError(`a graph failed on device 'webgpu': ${message}`, cause);
}

/** A tensor in host memory as onnxruntime knows it. */
export async function hostTensor({ dtype, shape, data }: HostTensor): Promise<GpuTensor> {
  const { Tensor } = await import('onnxruntime-node');
  return new Tensor(dtype, data, shape);
}

/** Sessions of one Identity node, which copy tensors to the card or back: `getData()` of a tensor there ends the process. */
class Copier {
  readonly #sessions = new Map<string, Promise<InferenceSession>>();

  #session(dtype: DType, rank: number, resident: boolean): Promise<InferenceSession> {
    const key = `${dtype}|${rank}|${resident}`;
    let session = this.#sessions.get(key);
    if (!session) {
      const graph = new Graph();
      const shape = Array.from({ length: rank }, (_, i) => -1 - i);
      graph.input('x', { dtype, shape });
      graph.output('y', { dtype, shape }, 'x');
      graph.finish();
      session = createGpuSession(encodeOnnx(graph), { resident: resident ? ['y'] : [] });
      this.#sessions.set(key, session);
    }
    return session;
  }

  async upload(tensor: HostTensor): Promise<GpuTensor> {
    const session = await this.#session(tensor.dtype, tensor.shape.length, true);
    return (await runGpu(session, { x: await hostTensor(tensor) })).y;
  }

  async download(tensor: GpuTensor): Promise<HostTensor['data']> {
    if (tensor.location !== 'gpu-buffer') return tensor.data as HostTensor['data'];
    const session = await this.#session(tensor.type as DType, tensor.dims.length, false);
    return (await runGpu(session, { x: tensor })).y.data as HostTensor['data'];
  }
}

const copier = new Copier();
/** Copies to the card. */
export const upload = (tensor: HostTensor): Promise<GpuTensor> => copier.upload(tensor);
/** Copies from the card. */
export const download = (tensor: GpuTensor): Promise<HostTensor['data']> => copier.download(tensor);
