import { SHARE_ENV, Worker } from 'node:worker_threads';
import { Cancelled, UsageError, UserError } from './errors.ts';
import type { ProgressEvent } from './progress.ts';

/** Who follows a job, and how the user stops it. */
export interface JobWatch {
  onEvent(event: ProgressEvent): void;
  signal: AbortSignal;
  /** How long a cancelled job may take to wind up before its thread is ended, in milliseconds. Default 10 s. */
  grace?: number;
}

interface PortableError {
  name: string;
  message: string;
  stack?: string;
  exitCode?: number;
  cause?: PortableError;
}

type Message = { event: ProgressEvent } | { result: unknown } | { error: PortableError };

/**
 * Runs an exported `async (argument, progress) => result` of a module in a thread of its own, so that the main thread
 * stays free for signals and rendering while the job computes. Argument and result are structured-cloned.
 *
 * Cancelling raises a flag in shared memory, which `progress.check()` reads: a message would wait for as long as the
 * job blocks its event loop. The job then has `grace` milliseconds for its `finally` blocks and its last checkpoint.
 *
 * @throws the job's own UserError, UsageError or Cancelled, revived; UserError where the thread died;
 *         any other Error with the job's stack.
 */
export function runJob(
  module: string | URL,
  exportName: string,
  argument: unknown,
  watch: JobWatch,
): Promise<unknown> {
  if (watch.signal.aborted) return Promise.reject(new Cancelled());
  const cancelFlag = new Int32Array(new SharedArrayBuffer(4));
  const worker = new Worker(new URL('./job-worker.js', import.meta.url), {
    workerData: { module: String(module), exportName, argument, cancelFlag },
    stdout: true,
    // Native libraries see what a job sets.
    env: SHARE_ENV,
  });
  // Standard output belongs to results; whatever a library prints inside the job goes to standard error.
  worker.stdout.pipe(process.stderr, { end: false });

  return new Promise((resolve, reject) => {
    let graceTimer: NodeJS.Timeout | undefined;
    const onAbort = () => {
      Atomics.store(cancelFlag, 0, 1);
      graceTimer = setTimeout(() => {
        settle(() => reject(new Cancelled('interrupted; the work did not stop in time and was ended')));
      }, watch.grace ?? 10_000);
    };
    const settle = (finish: () => void) => {
      watch.signal.removeEventListener('abort', onAbort);
      clearTimeout(graceTimer);
      worker.removeAllListeners();
      worker.on('error', () => {});
      void windDown(worker).then(finish);
    };
    watch.signal.addEventListener('abort', onAbort, { once: true });
    worker.on('message', (message: Message) => {
      if ('event' in message) watch.onEvent(message.event);
      else if ('error' in message) settle(() => reject(revive(message.error)));
      else settle(() => resolve(message.result));
    });
    worker.on('error', (error) => settle(() => reject(explainDeath(error))));
    worker.on('exit', (code) =>
      settle(() => reject(new UserError(`the job's thread ended without a result (exit code ${code})`))),
    );
  });
}

/** Lets a thread that has answered end by itself, which closes native sessions in order; ends it where it lingers. */
async function windDown(worker: Worker): Promise<void> {
  if (worker.threadId === -1) return;
  const ended = new Promise((resolve) => worker.once('exit', resolve));
  const timer = setTimeout(() => void worker.terminate(), 1000);
  await ended;
  clearTimeout(timer);
}

function revive(error: PortableError): Error {
  const options = error.cause ? { cause: revive(error.cause) } : undefined;
  const revived =
    error.name === 'Cancelled'
      ? new Cancelled(error.message)
      : error.exitCode === 2
        ? new UsageError(error.message, options)
        : error.exitCode !== undefined
          ? new UserError(error.message, options)
          : new Error(error.message, options);
  if (error.exitCode === undefined) revived.name = error.name;
  if (error.stack) revived.stack = error.stack;
  return revived;
}

function explainDeath(error: unknown): Error {
  if ((error as NodeJS.ErrnoException).code === 'ERR_WORKER_OUT_OF_MEMORY')
    return new UserError(
      "the job ran out of JavaScript heap memory; try a smaller train.batchSize, or give Node more with NODE_OPTIONS='--max-old-space-size=8192' (MiB)",
      { cause: error },
    );
  return error instanceof Error ? error : new Error(String(error));
}
