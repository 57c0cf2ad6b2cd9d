import { availableParallelism } from 'node:os';
import { messageOf, UsageError, UserError, unknownName } from '../common/errors.ts';
import { type Graph, type HostTensor, sizeOf } from './graph.ts';
import { encodeOnnx } from './onnx.ts';

/** A graph made ready on a device. Inputs and results are host memory, read and written in place. */
export interface Executable {
  /** Runs once; `results` are filled (they are allocated by the caller, one for every output). */
  run(feeds: Record<string, HostTensor>, results: Record<string, HostTensor>): Promise<void>;
  release(): Promise<void>;
}

/** Where compiled graphs run. */
export interface Device {
  readonly name: string;
  /** Why this device was taken, in words for the user. */
  readonly reason: string;
  /** True where results are host memory at no cost, so that the host may do part of the work. */
  readonly inHostMemory: boolean;
  load(graph: Graph): Promise<Executable>;
}

export interface DeviceOptions {
  /** Threads of one operation; by default as many as the machine has cores. */
  threads?: number;
}

/** A graph that reads and writes more than this gives its memory back after every run, instead of keeping it. */
const ARENA_BYTES = 128 * 2 ** 20;

/** Bytes of a graph's inputs and outputs. */
function externalBytes({ inputs, outputs }: Graph): number {
  return [...inputs.values(), ...outputs.values()].reduce((sum, { shape }) => sum + 4 * sizeOf(shape), 0);
}

const DEVICES: Record<string, (options: DeviceOptions, reason: string) => Device> = { cpu: cpuDevice };
/** Devices of the plan whose support is not in this version. */
const PLANNED = ['webgpu', 'cuda', 'tensorflow'];

export const deviceNames = (): string[] => ['auto', ...Object.keys(DEVICES)];

/** Opens a device by name; 'auto' takes the best one that works here. */
export function openDevice(name = 'auto', options: DeviceOptions = {}): Device {
  if (name === 'auto') return cpuDevice(options, 'auto: the only device of this version');
  if (PLANNED.includes(name))
    throw new UsageError(
      `device '${name}' is not supported yet. Must be one of [${deviceNames().join(', ')}].`,
    );
  const open = DEVICES[name];
  if (!open) throw unknownName('device', name, deviceNames(), '--device');
  return open(options, 'as asked');
}

function cpuDevice({ threads = availableParallelism() }: DeviceOptions, reason: string): Device {
  return {
    name: 'cpu',
    reason,
    inHostMemory: true,
    async load(graph) {
      const ort = await import('onnxruntime-node');
      const bytes = encodeOnnx(graph);
      const session = await ort.InferenceSession.create(bytes, {
        executionProviders: ['cpu'],
        graphOptimizationLevel: 'all',
        // Every session has an arena of its own, as large as its largest run: dozens of large graphs would add up.
        enableCpuMemArena: externalBytes(graph) <= ARENA_BYTES,
        intraOpNumThreads: threads,
        interOpNumThreads: 1,
        logSeverityLevel: 3,
        // Idle threads that spin steal the cores from the optimizer, from the host code and from other processes.
        extra: { session: { intra_op: { allow_spinning: '0' } } },
      }).catch((error) => {
        throw new UserError(`onnxruntime refused a compiled graph: ${messageOf(error)}`, { cause: error });
      });
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
        async run(feeds, results) {
          await session.run(wrapAll(feeds), wrapAll(results)).catch((error) => {
            throw new UserError(`a compiled graph failed: ${messageOf(error)}`, { cause: error });
          });
        },
        release: () => session.release(),
      };
    },
  };
}
