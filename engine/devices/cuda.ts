import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { availableParallelism } from 'node:os';
import { dirname, join } from 'node:path';
import { messageOf, UserError } from '../../common/errors.ts';
import { Graph } from '../graph.ts';
import { encodeOnnx } from '../onnx.ts';
import { createSession, modelOf, openSession } from '../session.ts';
import type { Device, DeviceOptions, Probe } from './contract.ts';

const INSTALL = 'ONNXRUNTIME_NODE_INSTALL=cuda12 npm rebuild onnxruntime-node --ignore-scripts=false';

/** onnxruntime's CUDA kernels. What graphs read and write is host memory, copied at every run; the optimizer is the host's. */
export async function openCuda(
  { threads = availableParallelism() }: DeviceOptions,
  reason: string,
): Promise<Device> {
  const { works, why } = await probeCuda();
  if (!works) throw new UserError(`device 'cuda' does not work here: ${why}`);
  return {
    name: 'cuda',
    reason: `${reason}: ${why}`,
    threads,
    inHostMemory: false,
    load: (graph) => openSession(modelOf(graph), { threads, provider: 'cuda' }),
  };
}

/** Whether onnxruntime's CUDA libraries, and CUDA's own, are there. */
export async function probeCuda(): Promise<Probe> {
  if (process.platform !== 'linux' || process.arch !== 'x64')
    return { works: false, why: 'onnxruntime-node has CUDA on x64 Linux only; try --device webgpu' };
  if (!existsSync(providerLibrary()))
    return { works: false, why: `${providerLibrary()} is missing; \`${INSTALL}\` fetches it` };
  // Products in 32 bits, as elsewhere, not in TensorFloat-32: cuBLAS reads this when it is loaded.
  process.env.NVIDIA_TF32_OVERRIDE ??= '0';
  const graph = new Graph();
  graph.input('x', { dtype: 'float32', shape: [1] });
  graph.output('y', { dtype: 'float32', shape: [1] }, graph.emit('Mul', ['x', 'x']));
  graph.finish();
  try {
    await (await createSession(encodeOnnx(graph), false, { threads: 1, provider: 'cuda' })).release();
    return { works: true, why: "onnxruntime's CUDA kernels", card: true };
  } catch (error) {
    const why = `it needs the NVIDIA driver, CUDA 12 and cuDNN 9 on the library path (LD_LIBRARY_PATH); ${messageOf(error)}`;
    return { works: false, why };
  }
}

/** Beside onnxruntime's own library. */
function providerLibrary(): string {
  const folder = dirname(createRequire(import.meta.url).resolve('onnxruntime-node/package.json'));
  return join(folder, 'bin/napi-v6/linux/x64/libonnxruntime_providers_cuda.so');
}
