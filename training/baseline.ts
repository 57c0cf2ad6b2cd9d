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

/** Every registered baseline, with default settings, on the test rows. */
export function evaluateBaselines(
  dataset: Dataset,
  options: RankingOptions & { itemCounts: Int32Array },
): Record<string, BaselineResult> {
  const { target } = dataset.test;
  const results = models.baselines().map(({ name, config, fit }): [string, BaselineResult] => {
    const counted = fit(config.parse({}), dataset);
    const { metrics, seen, ranks } = rankSparse(dataset, dataset.test, counted, options);
    const buckets = byPopularity(ranks, target, options.itemCounts, options.topk);
    return [name, { test: metrics, seen, byPopularity: buckets }];
  });
  return Object.fromEntries(results);
}
