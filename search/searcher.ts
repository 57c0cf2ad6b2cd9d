import type { Progress } from '../common/progress.ts';
import { seeded } from '../common/random.ts';
import { openBm25 } from './bm25/open.ts';
import { Dense } from './dense/dense.ts';
import { evaluate } from './evaluate.ts';
import { fuse, type HybridSettings } from './fusion.ts';
import type { SearchConfig } from './settings.ts';
import type { Query, SearchTask } from './task.ts';
import type { Hits } from './top-k.ts';

/** A method made ready for a task's pool. */
export interface Searcher {
  /** As results show it: 'bm25', 'dense (lsa)', 'hybrid (bm25, lsa)'. */
  name: string;
  /** The k best items for every query, in the order of the queries. */
  search(queries: readonly Query[], k: number, progress: Progress): Promise<Hits[]>;
  /** Queries that decided something of the method: no result may count them. */
  validation: ReadonlySet<Query>;
  /** What a result should tell of how it was found. */
  facts(): Record<string, number | string>;
  close(): Promise<void>;
}

const openers = { bm25: openWords, dense: openDense, hybrid: openHybrid };

/** Opens the method that the configuration names. */
export function openSearcher(task: SearchTask, config: SearchConfig, progress: Progress): Promise<Searcher> {
  return openers[config.search.method](task, config, progress);
}

async function openWords(task: SearchTask, { bm25 }: SearchConfig, progress: Progress): Promise<Searcher> {
  const index = await openBm25(task, bm25, progress);
  return {
    name: 'bm25',
    validation: new Set(),
    async search(queries, k, progress) {
      progress.begin('searching words', 'queries', queries.length);
      const hits = queries.map(({ text }, i) => {
        progress.advance(i);
        return index.search(text, Math.min(k, task.pool.ids.length));
      });
      progress.end();
      return hits;
    },
    facts: () => ({
      "postings of the queries' terms": index.work.postings,
      'postings looked at': index.work.scored,
    }),
    async close() {},
  };
}

async function openDense(task: SearchTask, config: SearchConfig, progress: Progress): Promise<Searcher> {
  const dense = await Dense.open(task, config, progress);
  return {
    name: `dense (${config.encoder.name})`,
    validation: new Set(),
    search: (queries, k, progress) => dense.search(queries, k, progress),
    facts: () => dense.facts(),
    close: () => dense.close(),
  };
}

async function openHybrid(task: SearchTask, config: SearchConfig, progress: Progress): Promise<Searcher> {
  const words = await openWords(task, config, progress);
  const dense = await openDense(task, config, progress);
  const { hybrid, seed, search } = config;
  const lists = async (queries: readonly Query[], k: number, progress: Progress) => {
    const depth = Math.max(k, hybrid.depth);
    const sparse = await words.search(queries, depth, progress);
    const near = await dense.search(queries, depth, progress);
    return (weight: number) => queries.map((_, i) => fuse(sparse[i], near[i], weight, hybrid.constant, k));
  };
  const close = async () => {
    await words.close();
    await dense.close();
  };
  let weight = hybrid.weight;
  let validation: Query[] = [];
  try {
    if (weight === 'auto') {
      validation = drawValidation(task.queries, hybrid, seed);
      const k = Math.max(...search.topk);
      weight = bestWeight(task, validation, k, await lists(validation, k, progress));
    }
  } catch (error) {
    await close();
    throw error;
  }
  const chosen = weight;
  return {
    name: `hybrid (bm25, ${config.encoder.name})`,
    validation: new Set(validation),
    search: async (queries, k, progress) => (await lists(queries, k, progress))(chosen),
    facts: () => ({
      'weight of dense': chosen,
      ...(validation.length && { 'queries that chose the weight, and are left out': validation.length }),
      ...words.facts(),
      ...dense.facts(),
    }),
    close,
  };
}

function drawValidation(queries: readonly Query[], { validation }: HybridSettings, seed: number): Query[] {
  const count = Math.min(validation, Math.floor(queries.length / 2));
  return seeded(seed, 'validation queries')
    .shuffle([...queries])
    .slice(0, count);
}

/** The weight with the largest NDCG@k over queries; of equals the one nearest to one half. */
function bestWeight(
  task: SearchTask,
  queries: readonly Query[],
  k: number,
  merged: (weight: number) => Hits[],
): number {
  const grid = [5, 4, 6, 3, 7, 2, 8, 1, 9, 0, 10].map((tenths) => tenths / 10);
  let best = grid[0];
  let most = Number.NEGATIVE_INFINITY;
  for (const weight of grid) {
    const hits = merged(weight);
    const ranked = queries.map((query, i) => ({ query, hits: hits[i] }));
    const value = evaluate(task, ranked, [k]).overQueries[`ndcg@${k}`] ?? 0;
    if (value > most) [best, most] = [weight, value];
  }
  return best;
}
