import { UserError } from '../../../common/errors.ts';
import type { Device, DeviceOptions } from '../contract.ts';
import { BLOCK_BYTES } from './blocks.ts';
import { compileResident } from './compile.ts';
import { loadGraph } from './load.ts';
import { ResidentOptimizer } from './optimizer.ts';
import { probeWebgpu } from './probe.ts';

/** Graphics cards by way of WebGPU: Vulkan, Metal or Direct3D, through onnxruntime's package alone. */
export function webgpuDevice(
  {
    strict = false,
    blockBytes = BLOCK_BYTES,
  }: DeviceOptions & {
    strict?: boolean /** For tests: larger matrices are cut. */;
    blockBytes?: number;
  } = {},
  reason = 'as asked',
): Device {
  return {
    name: 'webgpu',
    reason,
    threads: 1,
    inHostMemory: false,
    resident: true,
    load: (graph) => loadGraph(graph, strict),
    compile: (program) => compileResident(program, { strict, blockBytes }),
    optimizer: (parameters, options) => new ResidentOptimizer(parameters, options, { strict, blockBytes }),
  };
}

/** Opens the device. @throws UserError where it does not work here */
export async function openWebgpu(options: DeviceOptions, reason: string): Promise<Device> {
  const { works, why } = await probeWebgpu();
  if (!works) throw new UserError(`device 'webgpu' does not work here: ${why}`);
  return webgpuDevice(options, `${reason}: ${why}`);
}

export { hasGraphicsCard, probeWebgpu } from './probe.ts';
