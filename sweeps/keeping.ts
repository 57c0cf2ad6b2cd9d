import { setTimeout as sleep } from 'node:timers/promises';
import { Cancelled } from '../common/errors.ts';
import { Store, TakenOver } from '../queue/store.ts';

/** Milliseconds between two pushes to a store: what is lost at most where a machine is lost. */
const interval = 30_000;

/**
 * Runs work on a folder that is kept on a store: what is there is brought first, what changes is pushed now and then and
 * at the end. Without a store the folder is one that all machines share, and there is nothing to bring.
 * @throws TakenOver where another worker keeps the folder by now, UserError where the store fails at the beginning or end
 */
export async function keeping(
  folder: string,
  key: string,
  artifacts: string | undefined,
  signal: AbortSignal,
  work: (signal: AbortSignal) => Promise<void>,
): Promise<void> {
  if (artifacts === undefined) return work(signal);
  const store = new Store(artifacts);
  await store.mirror(key, folder, signal);
  const keeper = await store.claim(key);
  const lost = new AbortController();
  const ended = new AbortController();
  const pushing = (async () => {
    while (await sleep(interval, true, { signal: ended.signal }).catch(() => false))
      // While the store cannot be reached the work goes on: a later push has all.
      await keeper.push(folder).catch((error) => {
        if (error instanceof TakenOver) lost.abort();
      });
  })();
  try {
    await work(AbortSignal.any([signal, lost.signal]));
  } catch (error) {
    // Called off, or on its way to another worker: this far it has come.
    if (error instanceof Cancelled && !lost.signal.aborted) await keeper.push(folder);
    if (!lost.signal.aborted) throw error;
  } finally {
    ended.abort();
    await pushing;
  }
  await keeper.push(folder);
}
