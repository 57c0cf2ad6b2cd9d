import type { Dataset } from '../data/dataset.ts';
import { byPopularity, type Metrics } from '../evaluation/metrics.ts';
import { rankSparse } from '../evaluation/sparse.ts';
import type { Ranking, RankingOptions } from '../evaluation/tally.ts';
import { models } from '../models/index.ts';

/** What a yardstick reaches on the test rows: the figures that a run has of its model, under the same names. */
export interface BaselineResult {
  test: Metrics;
  seen: Ranking['seen'];
  byPopularity: ReturnType<typeof byPopularity>;
}

/** Every registered baseline, with default settings, on the test rows: by name, its figures and the ranks behind them. */
export function evaluateBaselines(
  dataset: Dataset,
  options: RankingOptions & { itemCounts: Int32Array },
): { results: Record<string, BaselineResult>; ranks: Record<string, Ranking['seenRanks']> } {
  const { target } = dataset.test;
  const results: Record<string, BaselineResult> = {};
  const ranks: Record<string, Ranking['seenRanks']> = {};
  for (const { name, config, fit } of models.baselines()) {
    const ranking = rankSparse(dataset, dataset.test, fit(config.parse({}), dataset), options);
    const buckets = byPopularity(ranking.ranks, target, options.itemCounts, options.topk);
    results[name] = { test: ranking.metrics, seen: ranking.seen, byPopularity: buckets };
    ranks[name] = ranking.seenRanks;
  }
  return { results, ranks };
}
