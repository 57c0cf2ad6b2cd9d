import type { RunResult } from '../training/index.ts';
import { type Bench, type BenchRow, mean, round, spread } from './bench.ts';
import { type Run, runOnce, sharedData } from './runs.ts';

/** Recall@10 and NDCG@10. */
type Mark = readonly [recall: number, ndcg: number];

/** A tuned configuration, and what it is to reach. */
interface Task {
  name: string;
  data: string;
  /** In configs/tuned. */
  config: string;
  /** Seen items compete, or do not; undefined where nothing is set. */
  kept?: Mark;
  filtered?: Mark;
  /** Where the marks come from. */
  source: string;
}

const tasks: Task[] = [
  {
    name: 'beauty-sasrec',
    data: 'amazon2014-beauty',
    config: 'beauty-sasrec.yaml',
    kept: [0.083, 0.0415],
    filtered: [0.0921, 0.0531],
    source: 'published: SASRec with cross-entropy; with sampled softmax',
  },
  {
    name: 'beauty-sasrec-sampled',
    data: 'amazon2014-beauty',
    config: 'beauty-sasrec-sampled.yaml',
    filtered: [0.0894, 0.0531],
    source: 'prototype, sampled softmax',
  },
  {
    name: 'beauty-text-ids',
    data: 'amazon2014-beauty',
    config: 'beauty-text-ids.yaml',
    filtered: [0.095, 0.0575],
    source: 'ids and text together',
  },
  {
    name: 'beauty-text',
    data: 'amazon2014-beauty',
    config: 'beauty-text.yaml',
    filtered: [0.0749, 0.044],
    source: 'item-to-item co-occurrence',
  },
  {
    name: 'scientific-unisrec',
    data: 'amazon2018-scientific',
    config: 'scientific-unisrec.yaml',
    kept: [0.1238, 0.0645],
    filtered: [0, 0.0745],
    source: 'published; masked: item-to-item co-occurrence',
  },
];

/** Tuned configurations trained to their early stop, a mean over seeds, beside what has been published. */
export const quality: Bench = {
  name: 'quality',
  describe:
    'tuned runs on amazon2014-beauty and amazon2018-scientific beside published figures (options: seeds, tasks; e.g. 1,2,3 beauty-sasrec)',
  async run([seeds = '1,2,3', names = tasks.map(({ name }) => name).join()]) {
    const rows: BenchRow[] = [];
    const curves: BenchRow[] = [];
    for (const name of names.split(',')) {
      const task = tasks.find((t) => t.name === name);
      if (!task)
        throw new Error(`unknown task '${name}'. Must be one of [${tasks.map((t) => t.name).join(', ')}].`);
      const runs: Run[] = [];
      for (const seed of seeds.split(',')) {
        const args = ['--config', `configs/tuned/${task.config}`, '--dataset', sharedData(task.data)];
        runs.push(await runOnce([...args, '--seed', seed]));
      }
      const results = runs.map(({ result }) => result);
      for (const rule of ['kept', 'filtered'] as const) rows.push(compare(task, rule, results));
      curves.push({ task: name, ...curve(runs[0]) });
      console.error(rows.slice(-2), curves.at(-1));
    }
    return [
      {
        title: 'Recall@10 and NDCG@10 on test, leave-one-out, all items ranked; mean +- standard deviation',
        rows,
        notes: [
          "seen: kept, items of a row's own history compete; filtered, they do not",
          ...tasks.map(({ name, source }) => `${name}: ${source}`),
        ],
      },
      {
        title: 'best NDCG@10 on validation after so many wall seconds of training and evaluation, first seed',
        rows: curves,
      },
    ];
  },
};

const MOMENTS = [10, 20, 40, 80, 160, 320, 640];

/** The course of a run's validation NDCG@10 over time; the last figure stands where the run is over. */
function curve({ epochs }: Run): BenchRow {
  let seconds = 0;
  const course = epochs.map(({ trainSeconds, evalSeconds, valid }) => {
    seconds += trainSeconds + evalSeconds;
    return { seconds, ndcg: valid['ndcg@10'] };
  });
  const bestAt = (moment: number) => {
    const best = Math.max(0, ...course.filter((c) => c.seconds <= moment).map(({ ndcg }) => ndcg));
    return best ? round(best, 4) : '-';
  };
  return Object.fromEntries(MOMENTS.map((moment) => [`${moment} s`, bestAt(moment)]));
}

function compare(task: Task, rule: 'kept' | 'filtered', results: RunResult[]): BenchRow {
  const [recall, ndcg] = ['recall@10', 'ndcg@10'].map((key) => results.map((r) => r.seen[rule][key]));
  const mark = task[rule];
  const reached = mark && mean(recall) >= mark[0] && mean(ndcg) >= mark[1];
  return {
    task: task.name,
    seen: rule,
    seeds: results.length,
    'R@10': spread(recall),
    'N@10': spread(ndcg),
    mark: mark ? mark.map((x) => (x ? x.toFixed(4) : '-')).join(' / ') : '-',
    reached: mark ? (reached ? 'yes' : 'NO') : '-',
    'item-transition N@10': round(
      mean(results.map((r) => r.baselines['item-transition'].seen[rule]['ndcg@10'])),
      4,
    ),
    'best epoch': round(mean(results.map((r) => r.epochs.best)), 1),
    's/epoch': round(mean(results.map((r) => r.timing.trainSecondsPerEpoch)), 2),
  };
}
