import { availableParallelism } from 'node:os';
import { UsageError, unknownName } from '../common/errors.ts';
import type { Graph } from './graph.ts';
import { type Executable, modelOf, openSession } from './session.ts';

/** Where compiled graphs run. */
export interface Device {
  readonly name: string;
  /** Why this device was taken, in words for the user. */
  readonly reason: string;
  /** Threads of one operation. */
  readonly threads: number;
  /** True where results are host memory at no cost, so that the host may do part of the work. */
  readonly inHostMemory: boolean;
  load(graph: Graph): Promise<Executable>;
}

export interface DeviceOptions {
  /** Threads of one operation; by default as many as the machine has cores. */
  threads?: number;
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
    threads,
    inHostMemory: true,
    load: (graph) => openSession(modelOf(graph), threads),
  };
}
