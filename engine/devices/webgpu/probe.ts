import { execFile } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { promisify } from 'node:util';
import { messageOf } from '../../../common/errors.ts';
import type { Probe } from '../contract.ts';
import { download, upload } from './runtime.ts';

/** Whether graphs can run on the card here; a driver that computes on the processor, as Mesa's lavapipe does, is no card. */
export async function probeWebgpu(): Promise<Probe> {
  try {
    const copy = await upload({ dtype: 'float32', shape: [2], data: Float32Array.of(1, 2) });
    const back = await download(copy);
    copy.dispose();
    if (back[0] !== 1 || back[1] !== 2)
      return { works: false, why: 'the driver gave back other numbers than it was given' };
  } catch (error) {
    return { works: false, why: reasonOf(messageOf(error)) };
  }
  const adapter = await adapterName();
  const software = /llvmpipe|lavapipe|swiftshader/i.test(adapter ?? '') || !hasGraphicsCard();
  const name = adapter ?? 'its adapter has no name here';
  return {
    works: true,
    why: software ? `a software driver (${name}): for tests, not for speed` : name,
    card: !software,
  };
}

function reasonOf(message: string): string {
  const missing = /webgpu.*(not supported|not available)|unsupported.*webgpu/i.test(message);
  if (missing)
    return 'the onnxruntime-node package for this system has no WebGPU: it has on x64 Linux, Windows and macOS';
  if (process.platform !== 'linux') return `onnxruntime found no graphics card: ${message}`;
  return (
    "no Vulkan driver works here: install the card's driver (NVIDIA's brings its own Vulkan; for AMD and Intel `apt-get install " +
    'mesa-vulkan-drivers`, Mesa 25 or later) and `apt-get install libvulkan1 vulkan-tools`; `vulkaninfo --summary` then lists the card. ' +
    'In containers start with `--gpus all -e NVIDIA_DRIVER_CAPABILITIES=all`'
  );
}

/** The first device that vulkaninfo lists; undefined where there is no vulkaninfo. */
async function adapterName(): Promise<string | undefined> {
  try {
    const { stdout } = await promisify(execFile)('vulkaninfo', ['--summary'], { timeout: 10_000 });
    return /deviceName\s*=\s*(.+)/.exec(stdout)?.[1].trim();
  } catch {
    return undefined;
  }
}

/** Whether there is a card that a driver could drive. */
export function hasGraphicsCard(): boolean {
  if (process.platform !== 'linux') return true;
  const nodes = existsSync('/dev/dri') ? readdirSync('/dev/dri') : [];
  return (
    nodes.some((name) => name.startsWith('render')) || existsSync('/dev/nvidia0') || existsSync('/dev/dxg')
  );
}
