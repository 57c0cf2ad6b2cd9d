import { UsageError } from '../common/errors.ts';
import { command } from './command.ts';
import { interrupted, interruptible } from './interrupt.ts';
import { count, deviceOptions, queueOptions, text } from './options.ts';

/** `rec worker --queue`: does what `rec sweep --queue` and `rec encode --queue` ask for, until it is interrupted. */
export const worker = command({
  command: 'worker',
  describe: 'carry out trials and embed texts for other machines',
  builder: (yargs) =>
    yargs.options({
      queue: queueOptions.queue,
      jobs: { ...text('pieces of work at once, which share the threads'), default: '1' },
      threads: text('threads of all of them together [default: one a core]'),
      device: text(`what embeds texts: ${deviceOptions.device.describe}; trials run where their sweep says`),
      runs: text('the folder of runs that the sweep was given, where this machine has it elsewhere'),
      lease: {
        ...text('seconds without a sign of life after which a worker counts as dead and is replaced'),
        default: '30',
      },
    }),
  async handler({ queue, jobs, threads, device, runs, lease }) {
    if (queue === undefined) throw new UsageError('which queue? Give --queue redis://host.');
    const { runWorker } = await import('../sweeps/worker.ts');
    const command = {
      queue,
      jobs: count('--jobs', jobs),
      threads: threads === undefined ? undefined : count('--threads', threads),
      device,
      runs,
      lease: count('--lease', lease),
    };
    try {
      await interruptible(() => runWorker(command, interrupted, (text) => process.stderr.write(`${text}\n`)));
    } finally {
      // A Redis out of reach is waited for by connections that nobody needs any more.
      setTimeout(() => process.exit(), 1000).unref();
    }
  },
});
