import { setTimeout as sleep } from 'node:timers/promises';
import { type Job, Queue } from 'bullmq';
import { Cancelled, UserError } from '../common/errors.ts';
import { type Connection, connect, QUEUE_NAME } from './connection.ts';

/** A piece of work for whichever worker is free. */
export interface Work<D = unknown> {
  /** The same work has the same id, whoever asks for it: it is done once. */
  id: string;
  kind: string;
  /** What workers call it when they tell what they do. */
  title: string;
  data: D;
}

/** What is in a job besides the work's own data. */
export interface Envelope<D = unknown> {
  title: string;
  data: D;
  /** Set by whoever asked for the work and no longer wants it. */
  cancelled?: boolean;
}

/** What a worker says of work that it stopped because nobody wants it any more. */
export const CALLED_OFF = 'called off';

/** Milliseconds between two looks at a job. */
const interval = 500;
/** Milliseconds that cancelling may take: a worker's process winds up in less. */
const patience = 30_000;
const patienceWithoutRedis = 3000;

/** Asks workers to do things. A lost connection is waited out; a job that Redis has lost is asked for again. */
export class QueueClient {
  readonly #connection: Connection;
  readonly #queue: Queue<Envelope>;

  /** @param say told of a connection lost and found */
  constructor(url: string, say: (text: string) => void) {
    this.#connection = connect(url, say);
    this.#queue = new Queue(QUEUE_NAME, { connection: this.#connection.client });
    this.#queue.on('error', () => {});
  }

  /**
   * Waits until the server is there.
   * @throws UserError where it refuses the credentials, Cancelled
   */
  async ready(signal: AbortSignal): Promise<void> {
    await Promise.race([this.#connection.ready, this.#connection.refused, aborted(signal)]);
    if (signal.aborted) throw new Cancelled();
  }

  /**
   * Has a worker do some work, and waits for it.
   * @param report told what the worker reports
   * @throws Cancelled once the work has been called off, UserError with the worker's error
   */
  async run(work: Work, report: (progress: unknown) => void, signal: AbortSignal): Promise<void> {
    const { client, refused } = this.#connection;
    const tooLong = aborted(signal).then(() => {
      const limit = client.status === 'ready' ? patience : patienceWithoutRedis;
      return sleep(limit, false, { ref: false });
    });
    const done = await Promise.race([this.#follow(work, report, signal), refused, tooLong]);
    if (done) return;
    await Promise.race([this.#callOff(work.id), tooLong]);
    throw new Cancelled();
  }

  /** Sees to it that the work is done; false where the signal comes before. */
  async #follow(work: Work, report: (progress: unknown) => void, signal: AbortSignal): Promise<boolean> {
    await this.#forget(work.id);
    while (!signal.aborted) {
      const job = await this.#queue.getJob(work.id);
      const state = await job?.getState();
      if (!job || state === 'unknown') await this.#add(work);
      else if (state === 'completed') {
        await job.remove();
        return true;
      } else if (state === 'failed') {
        await job.remove();
        // Called off by an earlier asker, while this one was already waiting.
        if (job.failedReason !== CALLED_OFF) throw new UserError(job.failedReason);
      } else if (state === 'active') report(job.progress);
      await sleep(interval, undefined, { signal }).catch(() => {});
    }
    return false;
  }

  /** Clears what is left of the work from an earlier time, by someone who did not wait for its end. */
  async #forget(id: string): Promise<void> {
    const job = await this.#queue.getJob(id);
    if (!job) return;
    if ((await job.isCompleted()) || (await job.isFailed())) await job.remove();
    else if (job.data.cancelled) await job.updateData({ ...job.data, cancelled: false });
  }

  async #add({ id, kind, title, data }: Work): Promise<void> {
    await this.#queue.add(kind, { title, data }, { jobId: id });
  }

  /** Takes the work out of the queue, or has its worker stop and waits until it has. */
  async #callOff(id: string): Promise<void> {
    while (!(await this.#isGone(await this.#queue.getJob(id)))) await sleep(interval);
  }

  async #isGone(job: Job<Envelope> | undefined): Promise<boolean> {
    if (!job) return true;
    if (await job.isActive()) {
      if (!job.data.cancelled) await job.updateData({ ...job.data, cancelled: true });
      return false;
    }
    // A worker may have taken it at this moment: the next look will tell.
    return job.remove().then(
      () => true,
      () => false,
    );
  }

  close(): void {
    this.#connection.close();
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
}
