import { setMaxListeners } from 'node:events';
import { paint } from './style.ts';

const controller = new AbortController();
// Every trial of a sweep listens.
setMaxListeners(0, controller.signal);
let jobs = 0;

/** Raised by the first Ctrl-C (or SIGTERM). */
export const interrupted: AbortSignal = controller.signal;

/** One Ctrl-C under npx arrives twice, from the terminal and passed on by npm: within this time (ms) it is one. */
const echo = 500;

/**
 * Ctrl-C from now on: with a job running the first one asks it to stop; otherwise, or again, the process ends. A
 * process that was started with a channel to its parent is asked to stop when the parent closes it, or dies.
 */
export function watchInterrupts(): void {
  let first = 0;
  const stop = () => {
    if (jobs === 0) process.exit(130);
    if (controller.signal.aborted) return;
    first = performance.now();
    const label = paint(process.stderr, 'yellow', 'stopping');
    process.stderr.write(`\n${label}: the work is wound up; Ctrl-C again ends it at once\n`);
    controller.abort();
  };
  const onSignal = () => {
    if (controller.signal.aborted && performance.now() - first > echo) process.exit(130);
    stop();
  };
  process.on('SIGINT', onSignal).on('SIGTERM', onSignal);
  process.on('disconnect', stop);
  process.channel?.unref();
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
