import { setTimeout as sleep } from 'node:timers/promises';
import { Cancelled } from '../common/errors.ts';
import { Store, TakenOver } from '../queue/store.ts';

/**
 * Runs work on a folder that is kept on a store: what is there is brought first, what changes is pushed now and then and
 * at the end. Without a store the folder is one that all machines share, and there is nothing to bring.
 * @param interval milliseconds between two pushes: what is lost at most where a machine is lost
 * @throws TakenOver where another worker keeps the folder by now, UserError where the store fails at the beginning or end
 */
export async function keeping(
  folder: string,
  key: string,
  artifacts: string | undefined,
  signal: AbortSignal,
  work: (signal: AbortSignal) => Promise<void>,
  interval = 30_000,
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
  const failure: unknown = await work(AbortSignal.any([signal, lost.signal])).then(
    () => undefined,
    (error) => error,
  );
  ended.abort();
  await pushing;
  // Called off, or on its way to another worker, it leaves what it has come to.
  if (failure === undefined || failure instanceof Cancelled) await keeper.push(folder);
  if (failure !== undefined) throw failure;
}
