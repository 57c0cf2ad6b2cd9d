import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { messageOf, UserError } from '../common/errors.ts';
import type { Progress } from '../common/progress.ts';
import { makeBinding, removeBinding, type Setup, type SetupOptions } from '../engine/index.ts';
import { type DeviceCheck, examineDeviceApart } from './device-check.ts';

/** What `rec setup tensorflow` did. */
export interface DeviceSetup extends Setup {
  /** What it computes on, in words. */
  why: string;
  check: DeviceCheck;
}

/** Sets TensorFlow up, and keeps it where a training step comes out as on the cpu device. */
export async function setUpTensorflow(options: SetupOptions, progress: Progress): Promise<DeviceSetup> {
  const setup = await makeBinding(options, progress);
  progress.note('checking it: training steps of SASRec, beside the cpu device');
  try {
    const { check, why, card } = await examineDeviceApart('tensorflow');
    if (!check) throw new UserError(why);
    const cuda = join(dirname(setup.library), 'nvidia');
    if (!card && existsSync(cuda))
      progress.warning(
        `TensorFlow sees no graphics card; where there is one, say where CUDA is: export LD_LIBRARY_PATH=$(echo ${cuda}/*/lib | tr ' ' :)`,
      );
    return { ...setup, why, check };
  } catch (error) {
    await removeBinding();
    throw new UserError(
      `the binding to TensorFlow ${setup.tensorflow} does not work, and is not kept: ${messageOf(error)}`,
      { cause: error },
    );
  }
}
