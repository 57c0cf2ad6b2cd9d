import { UsageError } from '../common/errors.ts';

/** Named figures: 'recall@10', 'ndcg@10', 'mrr@10', 'hit@10', 'precision@10', 'map@10', ... All are fractions. */
export type Metrics = Record<string, number>;

/** DCG's discount of 0-based rank r: 1 / log2(r + 2). */
const discount = (rank: number) => 1 / Math.log2(rank + 2);

/**
 * Metrics of rows that have one relevant item each, as means over rows.
 *
 * With one relevant item at 0-based rank r: recall@k = hit@k = [r < k], ndcg@k = [r < k] / log2(r + 2),
 * mrr@k = map@k = [r < k] / (r + 1), precision@k = [r < k] / k. They equal `judgedMetrics` of such a ranking.
 * The sums run over ranks, not rows, so that the order of rows cannot change a bit of the result.
 *
 * @param ranks [rows] 0-based ranks of the targets
 * @param topk list lengths k
 * @returns one figure a metric and k; an empty object where there are no rows
 */
export function rankMetrics(ranks: Int32Array, topk: readonly number[]): Metrics {
  const metrics: Metrics = {};
  if (!ranks.length) return metrics;
  const longest = Math.max(...topk);
  const rowsAtRank = new Float64Array(longest);
  for (const rank of ranks) if (rank < longest) rowsAtRank[rank]++;
  for (const k of topk) {
    let hits = 0;
    let gain = 0;
    let reciprocal = 0;
    for (let rank = 0; rank < k; rank++) {
      hits += rowsAtRank[rank];
      gain += rowsAtRank[rank] * discount(rank);
      reciprocal += rowsAtRank[rank] / (rank + 1);
    }
    metrics[`recall@${k}`] = hits / ranks.length;
    metrics[`ndcg@${k}`] = gain / ranks.length;
    metrics[`mrr@${k}`] = reciprocal / ranks.length;
    metrics[`hit@${k}`] = hits / ranks.length;
    metrics[`precision@${k}`] = hits / ranks.length / k;
    metrics[`map@${k}`] = reciprocal / ranks.length;
  }
  return metrics;
}

/**
 * One of these metrics for every row by itself, [rows]; its mean is what `rankMetrics` gives.
 * @param name as 'ndcg@10'
 * @throws UsageError for a name that is none of the metrics
 */
export function metricOfRows(ranks: Int32Array, name: string): Float64Array {
  const k = Number(name.split('@')[1]);
  const known = Number.isInteger(k) && k > 0 ? rankMetrics(Int32Array.of(0), [k]) : {};
  if (!(name in known))
    throw new UsageError(
      `unknown metric '${name}'. Must be one of [recall@k, ndcg@k, mrr@k, hit@k, precision@k, map@k] with a whole number for k.`,
    );
  const gains = Float64Array.from({ length: k }, (_, rank) => rankMetrics(Int32Array.of(rank), [k])[name]);
  return Float64Array.from(ranks, (rank) => gains[rank] ?? 0);
}

/**
 * Metrics of one ranking with any number of relevant, possibly graded items; defined as in trec_eval (map, map_cut,
 * recip_rank, P, recall, success, ndcg, ndcg_cut).
 *
 * An item is relevant where its grade is above 0; a negative grade counts as 0. NDCG takes the grade itself as gain.
 * precision@k divides by k even where fewer items were retrieved; map@k divides by ALL relevant items, not by
 * min(k, relevant). 'mrr', 'map' and 'ndcg' without a k are over everything retrieved.
 *
 * @param grades [retrieved] grade of every retrieved item, best rank first; 0 for an item without judgment
 * @param judged [judgments] grades of all judged items of the query, in any order, retrieved or not
 * @param topk list lengths k
 * @returns all 0 where no judged item is relevant
 */
export function judgedMetrics(
  grades: ArrayLike<number>,
  judged: ArrayLike<number>,
  topk: readonly number[],
): Metrics {
  const ideal = Array.from(judged)
    .filter((grade) => grade > 0)
    .sort((a, b) => b - a);
  const all = sumsToRank(grades, grades.length);
  const share = (part: number, whole: number) => (whole > 0 ? part / whole : 0);
  const metrics: Metrics = {
    mrr: all.firstReciprocal,
    map: share(all.precisions, ideal.length),
    ndcg: share(all.gain, sumsToRank(ideal, ideal.length).gain),
  };
  for (const k of topk) {
    const top = sumsToRank(grades, k);
    metrics[`recall@${k}`] = share(top.relevant, ideal.length);
    metrics[`ndcg@${k}`] = share(top.gain, sumsToRank(ideal, k).gain);
    metrics[`mrr@${k}`] = top.firstReciprocal;
    metrics[`hit@${k}`] = top.relevant > 0 ? 1 : 0;
    metrics[`precision@${k}`] = top.relevant / k;
    metrics[`map@${k}`] = share(top.precisions, ideal.length);
  }
  return metrics;
}

/** The sums over the first `k` ranks from which every metric follows. */
function sumsToRank(grades: ArrayLike<number>, k: number) {
  let relevant = 0;
  let gain = 0;
  let precisions = 0;
  let firstReciprocal = 0;
  for (let rank = 0; rank < Math.min(k, grades.length); rank++) {
    if (!(grades[rank] > 0)) continue;
    relevant++;
    gain += grades[rank] * discount(rank);
    precisions += relevant / (rank + 1);
    if (relevant === 1) firstReciprocal = 1 / (rank + 1);
  }
  return { relevant, gain, precisions, firstReciprocal };
}

/** The mean of every figure over queries; an empty object where there are none. All must have the same keys. */
export function meanMetrics(all: readonly Metrics[]): Metrics {
  const mean: Metrics = {};
  for (const key of Object.keys(all[0] ?? {})) {
    mean[key] = all.reduce((sum, metrics) => sum + metrics[key], 0) / all.length;
  }
  return mean;
}

/** Buckets of targets by how often they were training targets: the name, and the largest count that belongs to it. */
const popularityBuckets = [
  ['unseen', 0],
  ['1-5', 5],
  ['6-20', 20],
  ['21+', Number.POSITIVE_INFINITY],
] as const;

export type PopularityBucket = (typeof popularityBuckets)[number][0];

/**
 * The same metrics for targets that training saw never, seldom and often.
 *
 * @param ranks [rows] 0-based ranks of the targets
 * @param targets [rows] item ids
 * @param trainCounts [itemCount] how many training rows have the item as their target
 * @returns rows and metrics of every bucket, rarest first; metrics are empty where a bucket has no rows
 */
export function byPopularity(
  ranks: Int32Array,
  targets: Int32Array,
  trainCounts: ArrayLike<number>,
  topk: readonly number[],
): Record<PopularityBucket, { rows: number; metrics: Metrics }> {
  const grouped: number[][] = popularityBuckets.map(() => []);
  for (let row = 0; row < ranks.length; row++) {
    const count = trainCounts[targets[row]];
    grouped[popularityBuckets.findIndex(([, largest]) => count <= largest)].push(ranks[row]);
  }
  const entries = popularityBuckets.map(([name], bucket) => [
    name,
    { rows: grouped[bucket].length, metrics: rankMetrics(Int32Array.from(grouped[bucket]), topk) },
  ]);
  return Object.fromEntries(entries);
}
