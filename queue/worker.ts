import { hostname } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Job, Queue, UnrecoverableError, WaitingError, Worker } from 'bullmq';
import type { Redis } from 'ioredis';
import { Cancelled, messageOf } from '../common/errors.ts';
import { CALLED_OFF, type Envelope } from './client.ts';
import { connect, QUEUE_NAME } from './connection.ts';

/** What a worker does with one kind of work. */
export type Handler = (data: never, context: WorkContext) => Promise<void>;

export interface WorkContext {
  /** Raised where the work is to be stopped. */
  signal: AbortSignal;
  /** Tells whoever asked for the work how it goes. */
  report(progress: Record<string, unknown>): void;
}

export interface WorkerOptions {
  url: string;
  /** Pieces of work at once. */
  jobs: number;
  /** Milliseconds without a sign of life after which a worker counts as dead, and its work is given to another. */
  lease: number;
  handlers: Record<string, Handler>;
  /** Told what begins and ends, and of a connection lost and found. */
  say(text: string): void;
}

/** Milliseconds that the end may take: a trial's process winds up in less. */
const patience = 30_000;

/** A worker that dies over one piece of work again and again is not given it for ever. */
const DEATHS = 10;

/**
 * Does what the queue has, until the signal is raised; work that is then under way is stopped and given back.
 * @throws UserError where the server refuses the credentials
 */
export async function serve(options: WorkerOptions, signal: AbortSignal): Promise<void> {
  const connection = connect(options.url, options.say);
  const stopped = new Promise<void>((resolve) => {
    if (signal.aborted) resolve();
    signal.addEventListener('abort', () => resolve(), { once: true });
  });
  try {
    await Promise.race([connection.ready, connection.refused, stopped]);
    if (signal.aborted) return;
    const worker = startWorker(connection.client, options, signal);
    await Promise.race([connection.refused, stopped]);
    // Without Redis the work cannot be given back: others take it when the lease has run out.
    await Promise.race([worker.close(), sleep(patience, undefined, { ref: false })]);
  } finally {
    connection.close();
  }
}

function startWorker(connection: Redis, options: WorkerOptions, signal: AbortSignal): Worker<Envelope> {
  const { jobs, lease, say } = options;
  const queue = new Queue<Envelope>(QUEUE_NAME, { connection });
  const underWay = new Map<string, AbortController>();
  const worker = new Worker<Envelope>(QUEUE_NAME, (job, token) => carryOut(job, token), {
    connection,
    name: hostname(),
    concurrency: jobs,
    lockDuration: lease,
    stalledInterval: lease,
    maxStalledCount: DEATHS,
  });

  async function carryOut(job: Job<Envelope>, token: string | undefined): Promise<void> {
    const id = job.id!;
    const title = `${job.name} ${job.data.title}`;
    const control = new AbortController();
    underWay.set(id, control);
    // Whoever asked may call it off; Redis may forget it, and then someone else may be doing it.
    const look = setInterval(async () => {
      if (connection.status !== 'ready') return;
      const now = await queue.getJob(id).catch(() => job);
      if (!now || now.data.cancelled) control.abort();
    }, 1000);
    const context: WorkContext = {
      signal: AbortSignal.any([signal, control.signal]),
      report(progress) {
        if (connection.status === 'ready')
          void job.updateProgress({ ...progress, worker: hostname() }).catch(() => {});
      },
    };
    try {
      say(`${title}: begun`);
      await options.handlers[job.name](job.data.data as never, context);
      say(`${title}: done`);
    } catch (error) {
      say(`${title}: ${messageOf(error)}`);
      if (!(error instanceof Cancelled)) throw error;
      if (control.signal.aborted) throw new UnrecoverableError(CALLED_OFF);
      await job.moveToWait(token);
      throw new WaitingError();
    } finally {
      clearInterval(look);
      if (underWay.get(id) === control) underWay.delete(id);
    }
  }

  worker.on('lockRenewalFailed', (ids) => {
    for (const id of ids) underWay.get(id)?.abort();
  });
  // A lost connection has been told of; a lost lock shows in the work itself.
  worker.on('error', () => {});
  queue.on('error', () => {});
  return worker;
}
