import { readFile } from 'node:fs/promises';
import { messageOf, UserError } from '../common/errors.ts';
import { cacheFolder, hashJson, writeFileAtomic } from '../common/files.ts';
import { packageManifest } from '../common/package.ts';
import type { Progress } from '../common/progress.ts';
import {
  cpuDevice,
  type Device,
  type DeviceOptions,
  hasGraphicsCard,
  openDevice,
  probeDevice,
} from '../engine/index.ts';
import { examineDeviceApart } from './device-check.ts';

/** Devices that 'auto' takes where they work, the best first. TensorFlow's is slower where these do, and has to be asked for. */
const PREFERRED = ['cuda', 'webgpu'];

/**
 * Opens the device of a setting. 'auto' takes a graphics card that trains as the processor does, which is tried out in a
 * process of its own, once for every card and version; else the processor.
 */
export async function chooseDevice(
  name: string,
  options: DeviceOptions,
  progress: Progress,
): Promise<Device> {
  if (name !== 'auto') return openDevice(name, options);
  if (!hasGraphicsCard()) return cpuDevice(options, 'auto: there is no graphics card here');
  const refused: string[] = [];
  for (const candidate of PREFERRED) {
    const { works, card, why } = await probeDevice(candidate);
    if (!works || !card) {
      refused.push(`${candidate}: ${why}`);
      continue;
    }
    try {
      await tryOut(candidate, why, progress);
      progress.note(`device ${candidate}: ${why}`);
      return await openDevice(candidate, options, 'auto');
    } catch (error) {
      refused.push(`${candidate}: ${messageOf(error)}`);
    }
  }
  for (const reason of refused) progress.note(`not taken: ${reason}`);
  return cpuDevice(options, `auto: no graphics card works here (${refused.join('; ')})`);
}

/** Trains a few steps on a device and on the processor. @throws UserError where they come out otherwise */
async function tryOut(name: string, why: string, progress: Progress): Promise<void> {
  const key = hashJson({ name, why, rec: packageManifest().version, node: process.version });
  const file = cacheFolder('devices', `${key}.json`);
  if (await readFile(file).catch(() => undefined)) return;
  progress.note(`trying device ${name} out: ${why}`);
  const examined = await examineDeviceApart(name);
  if (!examined.check) throw new UserError(examined.why);
  await writeFileAtomic(file, JSON.stringify(examined));
}
