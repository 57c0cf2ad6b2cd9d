import type { Progress } from '../common/progress.ts';
import { openBm25 } from './bm25/open.ts';
import type { SearchConfig } from './settings.ts';
import type { Query, SearchTask } from './task.ts';
import type { RankedQuery } from './trec-files.ts';

/** A method made ready for a task's pool. */
export interface Searcher {
  /** As results show it: 'bm25', 'dense (lsa)'. */
  name: string;
  /** The k best items for every query, in the order of the queries. */
  search(queries: readonly Query[], k: number, progress: Progress): Promise<RankedQuery[]>;
  /** What a result should tell of how it was found. */
  facts(): Record<string, number | string>;
  close(): Promise<void>;
}

export async function openSearcher(
  task: SearchTask,
  config: SearchConfig,
  progress: Progress,
): Promise<Searcher> {
  return bm25Searcher(task, config, progress);
}

async function bm25Searcher(task: SearchTask, { bm25 }: SearchConfig, progress: Progress): Promise<Searcher> {
  const index = await openBm25(task, bm25, progress);
  return {
    name: 'bm25',
    async search(queries, k, progress) {
      progress.begin('searching', 'queries', queries.length);
      const ranked = queries.map((query, i) => {
        progress.advance(i);
        return { query, hits: index.search(query.text, k) };
      });
      progress.end();
      return ranked;
    },
    facts: () => ({
      "postings of the queries' terms": index.work.postings,
      'postings looked at': index.work.scored,
    }),
    async close() {},
  };
}
