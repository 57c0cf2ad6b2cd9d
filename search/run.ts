import { mkdir } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { explainFileError, hashJson, writeFileAtomic } from '../common/files.ts';
import { peakRssMb } from '../common/process.ts';
import type { Progress } from '../common/progress.ts';
import type { SearchOptions } from './configuration.ts';
import { type Evaluation, evaluate } from './evaluate.ts';
import { openTask } from './open.ts';
import { openSearcher } from './searcher.ts';
import type { SearchTask, TaskManifest } from './task.ts';
import { writeQrels, writeRun } from './trec-files.ts';

/** What `rec search run` reports. */
export interface SearchResult extends Evaluation {
  dataset: string;
  /** 'bm25', 'dense (blair-base)', ... */
  method: string;
  counts: TaskManifest['counts'];
  meanLength: TaskManifest['meanLength'];
  /** What grades stand for; NDCG takes the grade as gain. */
  gains: TaskManifest['gains'];
  steps: TaskManifest['steps'];
  bad: TaskManifest['bad'];
  /** Queries without a single item found, and relevant items that the pool lacks; both count as 0. */
  unanswered: number;
  missing: number;
  /** Of the method: postings skipped, weights chosen. */
  facts: Record<string, number | string>;
  seconds: { open: number; search: number };
  peakRssMb: number;
  /** The folder with config.yaml, result.json, run.trec, qrels.trec. */
  run: string;
}

/** `rec search run`. */
export async function runSearch(
  { options, runs }: { options: SearchOptions; runs: string },
  progress: Progress,
): Promise<SearchResult> {
  const { config, task } = await openTask(options, progress);
  const started = performance.now();
  const searcher = await openSearcher(task, config, progress);
  try {
    const opened = performance.now();
    const { topk } = config.search;
    const queries = task.queries.filter((query) => !searcher.validation.has(query));
    const hits = await searcher.search(queries, Math.max(...topk), progress);
    const ranked = queries.map((query, i) => ({ query, hits: hits[i] }));
    const searched = performance.now();
    const { name, hash, settings: _, sources: __, ...shown } = task.manifest;
    const folder = await makeFolder(runs, [name, searcher.name], hashJson({ hash, yaml: config.yaml }));
    const result: SearchResult = {
      dataset: name,
      method: searcher.name,
      ...shown,
      unanswered: ranked.filter(({ hits }) => !hits.items.length).length,
      missing: missingItems(task),
      ...evaluate(task, ranked, topk),
      facts: searcher.facts(),
      seconds: { open: (opened - started) / 1000, search: (searched - opened) / 1000 },
      peakRssMb: peakRssMb(),
      run: relative(process.cwd(), folder) || folder,
    };
    await writeRun(join(folder, 'run.trec'), ranked, task.pool.ids, searcher.name.replace(/[^\w.-]+/g, '-'));
    await writeQrels(
      join(folder, 'qrels.trec'),
      ranked.map(({ query }) => query),
    );
    await writeFileAtomic(join(folder, 'config.yaml'), config.yaml);
    await writeFileAtomic(join(folder, 'dataset.json'), `${JSON.stringify(task.manifest, null, 2)}\n`);
    await writeFileAtomic(join(folder, 'result.json'), `${JSON.stringify(result, null, 2)}\n`);
    return result;
  } finally {
    await searcher.close();
  }
}

function missingItems({ pool, queries }: SearchTask): number {
  const known = new Set(pool.ids);
  return queries.reduce(
    (sum, { relevant }) => sum + relevant.filter(({ item }) => !known.has(item)).length,
    0,
  );
}

/** runs/<time>-search-<words>-<hash>/; two runs in one second get names of their own. */
async function makeFolder(runs: string, words: readonly string[], hash: string): Promise<string> {
  const time = new Date().toISOString().slice(0, 19).replace(/[:T]/g, '-');
  const label = words.map((word) => word.replace(/[^\w.]+/g, '_').replace(/_$/, '')).join('-');
  const path = join(runs, `${time}-search-${label}-${hash.slice(0, 8)}`);
  for (let n = 1; ; n++) {
    const folder = n === 1 ? path : `${path}-${n}`;
    try {
      await mkdir(runs, { recursive: true });
      await mkdir(folder);
      return folder;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw explainFileError(error, folder);
    }
  }
}
