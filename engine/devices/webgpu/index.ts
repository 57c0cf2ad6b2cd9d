import type { Device, DeviceOptions } from '../contract.ts';
import { compileResident } from './compile.ts';
import { ResidentOptimizer } from './optimizer.ts';

/** Graphics cards by way of WebGPU: Vulkan, Metal or Direct3D, through onnxruntime's package alone. */
export function webgpuDevice(
  { strict = false }: DeviceOptions & { strict?: boolean } = {},
  reason = 'as asked',
): Device {
  return {
    name: 'webgpu',
    reason,
    threads: 1,
    inHostMemory: false,
    load: () => Promise.reject(new Error('device webgpu runs programs, not graphs')),
    compile: (program) => compileResident(program, strict),
    optimizer: (parameters, options) => new ResidentOptimizer(parameters, options, strict),
  };
}
