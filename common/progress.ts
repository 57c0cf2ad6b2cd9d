import { Cancelled } from './errors.ts';

/** What long work tells whoever watches it; plain data, so that it crosses a thread boundary. */
export type ProgressEvent =
  | { kind: 'begin'; task: string; total?: number; unit: string; done?: number }
  | { kind: 'advance'; done: number; total?: number }
  | { kind: 'end' }
  | { kind: 'note'; text: string }
  | { kind: 'warning'; text: string }
  | { kind: 'epoch'; row: Record<string, number | string | boolean> }
  | { kind: 'run'; folder: string };

/** The watcher of one job: receives events, and says when the user wants to stop. */
export class Progress {
  readonly #send: (event: ProgressEvent) => void;
  readonly #cancelled: () => boolean;
  #last = 0;

  constructor(send: (event: ProgressEvent) => void = () => {}, cancelled: () => boolean = () => false) {
    this.#send = send;
    this.#cancelled = cancelled;
  }

  /** Starts a task with a bar: `unit` is what is counted ('rows', 'steps', 'texts'), `done` what was there before. */
  begin(task: string, unit: string, total?: number, done?: number): void {
    this.check();
    this.#last = 0;
    this.#send({ kind: 'begin', task, unit, total, ...(done && { done }) });
  }

  /** `done` units so far; throws Cancelled where the user asked to stop. At most about 10 events a second pass. */
  advance(done: number, total?: number): void {
    this.check();
    const now = performance.now();
    if (now - this.#last < 100) return;
    this.#last = now;
    this.#send({ kind: 'advance', done, total });
  }

  end(): void {
    this.#send({ kind: 'end' });
  }

  note(text: string): void {
    this.#send({ kind: 'note', text });
  }

  warning(text: string): void {
    this.#send({ kind: 'warning', text });
  }

  epoch(row: Record<string, number | string | boolean>): void {
    this.#send({ kind: 'epoch', row });
  }

  /** Names the run folder that results go to, so that whoever stops the work can be told how to resume it. */
  run(folder: string): void {
    this.#send({ kind: 'run', folder });
  }

  /** Throws Cancelled where the user asked to stop. Call it at least every second of work. */
  check(): void {
    if (this.#cancelled()) throw new Cancelled();
  }

  /**
   * Checks for work that only waits: a request, a statement, another process. `stop` is told what `check`, or `look`,
   * throws; again and again, since what it stops may not have begun. Keeps no process alive.
   * @returns ends the watch
   */
  watch(stop: (reason: unknown) => void, look?: () => void): () => void {
    const timer = setInterval(() => {
      try {
        this.check();
        look?.();
      } catch (reason) {
        stop(reason);
      }
    }, 100);
    timer.unref();
    return () => clearInterval(timer);
  }
}
