import { Worker } from 'node:worker_threads';
import { messageOf, UserError } from '../common/errors.ts';

export interface ThreadOptions {
  /** Where the tokenizer's files are. */
  folder: string;
  /** Longest text in tokens. */
  maxTokens: number;
}

/** All texts' token ids one after the other, and where each text's end. */
export type Answer = { ids: Int32Array<ArrayBuffer>; ends: Int32Array<ArrayBuffer> } | { error: string };

/** A tokenizer in a thread of its own, which works while this thread waits for a session. */
export class TokenizerThread {
  readonly #worker: Worker;
  /** Requests are answered in their order. */
  readonly #waiting: { resolve(rows: Int32Array[]): void; reject(error: Error): void }[] = [];
  /** Why the thread is no more: whoever asks it later is told so, too. */
  #ended: Error | undefined;

  constructor(options: ThreadOptions) {
    this.#worker = new Worker(new URL('./tokenizer-entry.js', import.meta.url), {
      workerData: options,
      stdout: true,
    });
    this.#worker.stdout.pipe(process.stderr, { end: false });
    this.#worker.on('message', (answer: Answer) => {
      const asked = this.#waiting.shift()!;
      if ('error' in answer) return asked.reject(new UserError(answer.error));
      const { ids, ends } = answer;
      asked.resolve(Array.from(ends, (end, i) => ids.subarray(i ? ends[i - 1] : 0, end)));
    });
    const settle = (error: Error) => {
      this.#ended ??= error;
      for (const { reject } of this.#waiting.splice(0)) reject(this.#ended);
    };
    this.#worker.on('error', (error) => settle(new UserError(`the tokenizer died: ${messageOf(error)}`)));
    this.#worker.on('exit', () => settle(new UserError('the tokenizer ended before it answered')));
  }

  /** Token ids of each text. */
  encode(texts: readonly string[]): Promise<Int32Array[]> {
    if (this.#ended) return Promise.reject(this.#ended);
    const rows = new Promise<Int32Array[]>((resolve, reject) => this.#waiting.push({ resolve, reject }));
    // Where the caller's other work fails first, nobody waits for the answer.
    rows.catch(() => {});
    this.#worker.postMessage(texts);
    return rows;
  }

  async close(): Promise<void> {
    await this.#worker.terminate();
  }
}
