import { setTimeout as sleep } from 'node:timers/promises';
import type { Progress } from '../common/progress.ts';
import type { HubAccess } from './access.ts';
import type { HubRepo } from './cache.ts';
import { HubUnreachable, refused, unreachable } from './faults.ts';

/** How often in a row a request is tried, or a body that breaks off without a new byte. */
export const TRIES = 6;

/** The longest that the hub may ask us to wait, in seconds; its limits count windows of five minutes. */
const LONGEST_WAIT = 600;

/** An answer of the hub, its body under watch. */
export interface Answer {
  response: Response;
  /** @throws HubUnreachable where the body breaks off or falls silent, Cancelled where the user asked to stop. */
  body(): AsyncGenerator<Uint8Array>;
}

/** Sends requests: with the token, waiting as asked, again where a fault may pass, in words where it does not. */
export class Requests {
  readonly access: HubAccess;
  readonly #progress: Progress;
  /** From the first answer on, a lost network is a fault that may pass. */
  #reached = false;

  constructor(access: HubAccess, progress: Progress) {
    this.access = access;
    this.#progress = progress;
  }

  /** @throws UserError that says what the hub's refusal means and what to do about it. */
  async send(repo: HubRepo, url: string, init: RequestInit = {}): Promise<Answer> {
    const headers = new Headers(init.headers);
    // Sizes and offsets count the file's own bytes.
    headers.set('accept-encoding', 'identity');
    const { endpoint, token } = this.access;
    // A redirect to another machine loses this header: fetch sees to it.
    if (token && url.startsWith(`${endpoint}/`)) headers.set('authorization', `Bearer ${token}`);
    for (let attempt = 1; ; attempt++) {
      const watch = new Watch(this.access, this.#progress);
      const outcome = await fetch(url, { ...init, headers, signal: watch.signal }).catch(watch.explain);
      if (outcome instanceof Response && outcome.ok) {
        this.#reached = true;
        return { response: outcome, body: () => watch.body(outcome) };
      }
      watch.close();
      const fault = outcome instanceof Response ? this.#refused(repo, outcome) : this.#lost(outcome);
      if (!fault.mayPass || attempt === TRIES) throw fault.error;
      await this.wait(attempt, fault.wait);
    }
  }

  #refused(repo: HubRepo, response: Response) {
    this.#reached = true;
    void response.body?.cancel().catch(() => {});
    const wait = secondsOf(response.headers.get('retry-after'));
    const passing = response.status === 408 || response.status === 429 || response.status >= 500;
    return {
      error: refused(repo, this.access, response),
      wait,
      mayPass: passing && (wait ?? 0) <= LONGEST_WAIT,
    };
  }

  #lost(error: Error) {
    return { error, wait: undefined, mayPass: error instanceof HubUnreachable && this.#reached };
  }

  /** Waits before another try: as long as the hub asked (seconds), else twice as long from try to try. */
  async wait(attempt: number, asked?: number): Promise<void> {
    if (asked) this.#progress.note(`the hub asks for a pause of ${asked} s`);
    const end = performance.now() + 1000 * (asked ?? this.access.pause * 2 ** (attempt - 1));
    for (let left = end - performance.now(); left > 0; left = end - performance.now()) {
      this.#progress.check();
      await sleep(Math.min(100, left));
    }
  }
}

/** Ends a request that the hub leaves without a byte for too long, or that the user interrupts. */
class Watch {
  readonly #controller = new AbortController();
  readonly #endpoint: string;
  /** Ends the watch. */
  readonly close: () => void;
  #heard = performance.now();

  constructor({ endpoint, timeout }: HubAccess, progress: Progress) {
    this.#endpoint = endpoint;
    this.close = progress.watch(
      (reason) => this.#controller.abort(reason),
      () => {
        if (performance.now() - this.#heard > 1000 * timeout)
          throw new HubUnreachable(`${endpoint} has been silent for ${timeout} s`);
      },
    );
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Why a request of this watch failed. */
  readonly explain = (error: unknown): Error =>
    this.signal.aborted ? this.signal.reason : unreachable(this.#endpoint, error);

  async *body(response: Response): AsyncGenerator<Uint8Array> {
    try {
      for await (const chunk of response.body ?? []) {
        yield chunk;
        this.#heard = performance.now();
      }
    } catch (error) {
      throw this.explain(error);
    } finally {
      this.close();
    }
  }
}

/** The seconds that a Retry-After header means: a number of them, or a date. */
function secondsOf(header: string | null): number | undefined {
  if (!header) return undefined;
  const seconds = /^\d+$/.test(header) ? Number(header) : Math.ceil((Date.parse(header) - Date.now()) / 1000);
  return Number.isFinite(seconds) ? Math.max(0, seconds) : undefined;
}
