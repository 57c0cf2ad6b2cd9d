import { availableParallelism } from 'node:os';
import { modelOf, openSession } from '../session.ts';
import type { Device, DeviceOptions } from './contract.ts';

/** onnxruntime's own kernels on the processor. */
export function cpuDevice(
  { threads = availableParallelism(), spinning }: DeviceOptions = {},
  reason = 'as asked',
): Device {
  return {
    name: 'cpu',
    reason,
    threads,
    inHostMemory: true,
    load: (graph) => openSession(modelOf(graph), { threads, spinning }),
  };
}
