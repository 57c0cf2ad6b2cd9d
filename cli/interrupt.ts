import { paint } from './style.ts';

const controller = new AbortController();
let jobs = 0;

/** Raised by the first Ctrl-C (or SIGTERM). */
export const interrupted: AbortSignal = controller.signal;

/** Ctrl-C from now on: with a job running the first one asks it to stop; otherwise, or again, the process ends. */
export function watchInterrupts(): void {
  const onSignal = () => {
    if (jobs === 0 || controller.signal.aborted) process.exit(130);
    process.stderr.write(
      `\n${paint(process.stderr, 'yellow', 'stopping')}: the work is wound up; Ctrl-C again ends it at once\n`,
    );
    controller.abort();
  };
  process.on('SIGINT', onSignal).on('SIGTERM', onSignal);
}

/** Runs work that heeds `interrupted`. */
export async function interruptible<T>(work: () => Promise<T>): Promise<T> {
  jobs++;
  try {
    return await work();
  } finally {
    jobs--;
  }
}
