import { UsageError, unknownName } from '../../common/errors.ts';
import type { Device, DeviceOptions } from './contract.ts';
import { cpuDevice } from './cpu.ts';
import { tensorflowDevice } from './tensorflow/index.ts';
import { openWebgpu } from './webgpu/index.ts';

type Opener = (options: DeviceOptions, reason: string) => Device | Promise<Device>;

const DEVICES: Record<string, Opener> = {
  cpu: cpuDevice,
  webgpu: openWebgpu,
  tensorflow: tensorflowDevice,
};
/** Devices of the plan whose support is not in this version. */
const PLANNED = ['cuda'];

export const deviceNames = (): string[] => ['auto', ...Object.keys(DEVICES)];

/** Opens a device by name; 'auto' takes the best one that works here. */
export async function openDevice(name = 'auto', options: DeviceOptions = {}): Promise<Device> {
  if (name === 'auto') return cpuDevice(options, 'auto: the only device of this version');
  if (PLANNED.includes(name))
    throw new UsageError(
      `device '${name}' is not supported yet. Must be one of [${deviceNames().join(', ')}].`,
    );
  const open = DEVICES[name];
  if (!open) throw unknownName('device', name, deviceNames(), '--device');
  return open(options, 'as asked');
}
