import { messageOf, UserError } from '../common/errors.ts';
import { type Graph, type HostTensor, type RandomInput, sizeOf } from './graph.ts';
import { encodeOnnx } from './onnx.ts';
import type { Randomness } from './random.ts';
import { RandomBuffers } from './random-buffers.ts';

// What runs a graph in onnxruntime. It needs no tfjs, so that threads which only run graphs start quickly.

/** A graph made ready. Inputs and results are host memory, read and written in place. */
export interface Executable {
  /** Runs once; `results` are filled (they are allocated by the caller, one for every output). */
  run(
    feeds: Record<string, HostTensor>,
    results: Record<string, HostTensor>,
    randomness: Randomness,
  ): Promise<void>;
  release(): Promise<void>;
}

/** A graph in the form that onnxruntime reads, and what the engine itself feeds it. */
export interface Model {
  onnx: Uint8Array;
  randomInputs: readonly RandomInput[];
  /** Whether memory is kept between runs. */
  arena: boolean;
}

/** A graph that reads and writes more than this gives its memory back after every run, instead of keeping it. */
const ARENA_BYTES = 128 * 2 ** 20;

/** Whether a graph that reads and writes so many bytes keeps the memory of a run for the next one. */
export const keepsMemory = (external: number): boolean => external <= ARENA_BYTES;

export function modelOf(graph: Graph): Model {
  const external = [...graph.inputs.values(), ...graph.outputs.values()];
  const bytes = external.reduce((sum, { shape }) => sum + 4 * sizeOf(shape), 0);
  return { onnx: encodeOnnx(graph), randomInputs: graph.randomInputs, arena: keepsMemory(bytes) };
}

/** Which of onnxruntime's kernels run a graph; what a provider lacks runs on the processor. */
export type Provider = 'cpu' | 'cuda';

export interface Computing {
  /** Threads of one operation. */
  threads: number;
  /** True lets threads without work look for it in a loop, where they else sleep until they are woken. */
  spinning?: boolean;
  provider?: Provider;
}

/** A session of onnxruntime's own, for graphs whose outputs have shapes that only a run tells. */
export async function createSession(
  onnx: Uint8Array,
  arena: boolean,
  { threads, spinning = false, provider = 'cpu' }: Computing,
) {
  const ort = await import('onnxruntime-node');
  return ort.InferenceSession.create(onnx, {
    executionProviders: [provider],
    graphOptimizationLevel: 'all',
    // Every session has an arena of its own, as large as its largest run: dozens of large graphs would add up.
    enableCpuMemArena: arena,
    // A plan of where all tensors of a run lie takes up to half as much memory again, and gains no time.
    enableMemPattern: false,
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    logSeverityLevel: 3,
    extra: { session: { intra_op: { allow_spinning: spinning ? '1' : '0' } } },
  }).catch((error) => {
    throw new UserError(`onnxruntime refused a compiled graph: ${messageOf(error)}`, { cause: error });
  });
}

export async function openSession(
  { onnx, randomInputs, arena }: Model,
  computing: Computing,
): Promise<Executable> {
  const ort = await import('onnxruntime-node');
  const session = await createSession(onnx, arena, computing);
  const random = new RandomBuffers(randomInputs);
  // Most inputs and results lie in the same memory at every run.
  const tensors = new Map<string, InstanceType<typeof ort.Tensor>>();
  const wrap = (name: string, { dtype, shape, data }: HostTensor) => {
    const known = tensors.get(name);
    if (known?.data === data) return known;
    if (data.length !== sizeOf(shape))
      throw new UserError(`'${name}' of shape [${shape}] was given ${data.length} elements`);
    const tensor = new ort.Tensor(dtype, data, shape);
    tensors.set(name, tensor);
    return tensor;
  };
  const wrapAll = (all: Record<string, HostTensor>) =>
    Object.fromEntries(Object.entries(all).map(([name, t]) => [name, wrap(name, t)]));
  return {
    async run(feeds, results, randomness) {
      random.fill(randomness);
      await session.run(wrapAll({ ...feeds, ...random.feeds }), wrapAll(results)).catch((error) => {
        throw new UserError(`a compiled graph failed: ${messageOf(error)}`, { cause: error });
      });
    },
    release: () => session.release(),
  };
}

/** Runs a serialised model once, with 64-bit integers in and floats out, as exported models have them. */
export async function runOnnx(
  onnx: Uint8Array,
  feeds: Record<string, { shape: readonly number[]; data: BigInt64Array }>,
): Promise<Record<string, Float32Array>> {
  const { Tensor } = await import('onnxruntime-node');
  const session = await createSession(onnx, false, { threads: 0 });
  const inputs = Object.entries(feeds).map(([name, { shape, data }]) => [
    name,
    new Tensor('int64', data, shape),
  ]);
  try {
    const outputs = await session.run(Object.fromEntries(inputs));
    return Object.fromEntries(
      Object.entries(outputs).map(([name, { data }]) => [name, data as Float32Array]),
    );
  } finally {
    await session.release();
  }
}
