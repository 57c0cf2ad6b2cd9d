import type { Progress } from '../common/progress.ts';
import type { SearchOptions } from './configuration.ts';
import { openTask } from './open.ts';
import { openSearcher } from './searcher.ts';

/** An item found for a query. */
export interface Found {
  rank: number;
  item: string;
  score: number;
  domain: string;
  text: string;
}

/** A task's pool, ready to be asked. */
export interface Asking {
  dataset: string;
  method: string;
  items: number;
  /** The k best items for each text, k being the longest list of search.topk. */
  ask(texts: readonly string[]): Promise<{ query: string; found: Found[] }[]>;
  close(): Promise<void>;
}

/** Opens what `rec search query` asks. */
export async function openAsking(options: SearchOptions, progress: Progress): Promise<Asking> {
  const { config, task } = await openTask(options, progress);
  const searcher = await openSearcher(task, config, progress);
  const k = Math.max(...config.search.topk);
  const { ids, texts, domain, domains } = task.pool;
  return {
    dataset: task.manifest.name,
    method: searcher.name,
    items: ids.length,
    async ask(asked) {
      const queries = asked.map((text, i) => ({ id: String(i), text, relevant: [] }));
      const hits = await searcher.search(queries, k, progress);
      return hits.map(({ items, scores }, q) => ({
        query: asked[q],
        found: Array.from(items, (item, i) => ({
          rank: i + 1,
          item: ids[item],
          score: scores[i],
          domain: domains[domain[item]],
          text: texts.at(item)!,
        })),
      }));
    },
    close: () => searcher.close(),
  };
}

/** What `rec search query` reports. */
export interface Answers extends Pick<Asking, 'dataset' | 'method' | 'items'> {
  answers: Awaited<ReturnType<Asking['ask']>>;
}

/** Answers texts given at once. */
export async function answer(
  { options, texts }: { options: SearchOptions; texts: string[] },
  progress: Progress,
): Promise<Answers> {
  const { dataset, method, items, ask, close } = await openAsking(options, progress);
  try {
    return { dataset, method, items, answers: await ask(texts) };
  } finally {
    await close();
  }
}
