import { judgedMetrics, type Metrics, meanMetrics } from '../evaluation/metrics.ts';
import type { SearchTask } from './task.ts';
import type { RankedQuery } from './trec-files.ts';

/** Metrics of one method on a task; all are fractions. */
export interface Evaluation {
  /** The mean over domains of the means over their queries: what the paper's text says of "All". */
  overDomains: Metrics;
  /** The mean over queries: what the paper's code prints as overall. */
  overQueries: Metrics;
  domains: { domain: string; queries: number; metrics: Metrics }[];
}

/** A query belongs to the domain of its first relevant item; an item that is not in the pool is in domain ''. */
export function evaluate(
  task: SearchTask,
  ranked: readonly RankedQuery[],
  topk: readonly number[],
): Evaluation {
  const number = new Map(task.pool.ids.map((id, item) => [id, item]));
  const byDomain = new Map<string, Metrics[]>();
  for (const { query, hits } of ranked) {
    const grades = new Map(query.relevant.map(({ item, grade }) => [item, grade]));
    const found = Array.from(hits.items, (item) => grades.get(task.pool.ids[item]) ?? 0);
    const metrics = judgedMetrics(found, [...grades.values()], topk);
    const item = number.get(query.relevant[0]?.item);
    const domain = item === undefined ? '' : task.pool.domains[task.pool.domain[item]];
    const list = byDomain.get(domain);
    if (list) list.push(metrics);
    else byDomain.set(domain, [metrics]);
  }
  const domains = [...byDomain]
    .map(([domain, all]) => ({ domain, queries: all.length, metrics: meanMetrics(all) }))
    .sort((a, b) => b.queries - a.queries || (a.domain < b.domain ? -1 : 1));
  return {
    overDomains: meanMetrics(domains.map(({ metrics }) => metrics)),
    overQueries: meanMetrics([...byDomain.values()].flat()),
    domains,
  };
}
