import { unknownName } from '../../common/errors.ts';
import type { Device, DeviceKind, DeviceOptions, Probe } from './contract.ts';
import { cpuDevice } from './cpu.ts';
import { openCuda, probeCuda } from './cuda.ts';
import { type DeviceName, deviceNames } from './names.ts';
import { probeTensorflow, tensorflowDevice } from './tensorflow/index.ts';
import { openWebgpu, probeWebgpu } from './webgpu/index.ts';

const DEVICES: Record<DeviceName, DeviceKind> = {
  cpu: {
    open: cpuDevice,
    probe: async () => ({ works: true, why: "onnxruntime's kernels for the processor" }),
  },
  webgpu: { open: openWebgpu, probe: probeWebgpu },
  cuda: { open: openCuda, probe: probeCuda },
  tensorflow: { open: tensorflowDevice, probe: probeTensorflow },
};

/** Whether a device works here. */
export const probeDevice = (name: string): Promise<Probe> => kindNamed(name).probe();

/** Opens a device by name. @throws UserError where it does not work here */
export async function openDevice(
  name: string,
  options: DeviceOptions = {},
  reason = 'as asked',
): Promise<Device> {
  return kindNamed(name).open(options, reason);
}

function kindNamed(name: string): DeviceKind {
  const known = deviceNames.find((device) => device === name);
  if (!known) throw unknownName('device', name, ['auto', ...deviceNames], '--device');
  return DEVICES[known];
}
