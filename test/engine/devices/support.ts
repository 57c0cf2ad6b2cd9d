import { probeWebgpu, webgpuDevice } from '../../../engine/devices/webgpu/index.ts';
import type { Device } from '../../../engine/index.ts';
import { skipped } from '../../skip.ts';

/**
 * The device; undefined, and said, where there is no driver.
 * @param strict refuses graphs of which onnxruntime would place a part on the processor
 */
export async function webgpuHere({ strict = true } = {}): Promise<Device | undefined> {
  const { works, why } = await probeWebgpu();
  if (works) return webgpuDevice({ strict });
  skipped(`${why} (test/setup-lavapipe.sh installs a software driver)`);
  return undefined;
}
