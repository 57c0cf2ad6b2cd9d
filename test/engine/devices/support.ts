import { probeWebgpu, webgpuDevice } from '../../../engine/devices/webgpu/index.ts';
import type { Device } from '../../../engine/index.ts';

/** The device, which refuses graphs that the processor would have to help with; undefined, and said, where there is no driver. */
export async function strictWebgpu(): Promise<Device | undefined> {
  const { works, why } = await probeWebgpu();
  if (works) return webgpuDevice({ strict: true });
  console.log(`skipped: ${why} (test/setup-lavapipe.sh installs a software driver)`);
  return undefined;
}
