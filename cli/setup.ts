import { UsageError } from '../common/errors.ts';
import { type Flavour, flavours } from '../engine/devices/tensorflow/flavours.ts';
import type { DeviceSetup } from '../training/device-setup.ts';
import { command } from './command.ts';
import { jobsOf } from './job.ts';
import { outputOptions, text } from './options.ts';
import { printResult } from './output.ts';

const jobs = jobsOf<typeof import('../training/device-setup.ts')>(
  new URL('../training/device-setup.ts', import.meta.url),
);

const names = Object.keys(flavours) as Flavour[];

/** `rec setup tensorflow`: what `--device tensorflow` needs. */
export const setup = command({
  command: 'setup <device>',
  describe: 'make a device ready that needs more than npm brings: tensorflow',
  builder: (yargs) =>
    yargs
      .positional('device', { type: 'string', choices: ['tensorflow'], demandOption: true })
      .options({
        python: text('a Python that has TensorFlow [default: python3]'),
        install: {
          type: 'string',
          describe: `install TensorFlow with pip in an environment of its own: ${names.join(' or ')} [default: cpu]`,
        },
        ...outputOptions,
      })
      .example('$0 setup tensorflow --install', '')
      .example('$0 setup tensorflow --python /opt/venv/bin/python', ''),
  async handler({ python, install, json, quiet }) {
    const flavour = install === '' ? 'cpu' : names.find((name) => name === install);
    if (install !== undefined && flavour === undefined)
      throw new UsageError(`--install must be one of [${names.join(', ')}]; got '${install}'`);
    const done = await jobs('setUpTensorflow', { python, install: flavour }, quiet);
    printResult(done, json, () => setupAsText(done));
  },
});

function setupAsText({ tensorflow, library, why, check }: DeviceSetup): string {
  const worst = Math.max(check.loss, check.gradient).toExponential(1);
  return [
    `tfjs-node's binding is compiled against TensorFlow ${tensorflow} (${library})`,
    `training steps of SASRec are those of the cpu device to within ${worst}: ${why}`,
    'use it with: --device tensorflow',
  ].join('\n');
}
