import type { Report, System, SystemResult } from './report.ts';
import { bucketNames } from './tables.ts';

type Value = string | number | undefined;

/** A report as CSV (RFC 4180): a line a system and dataset, with every figure at full precision; metrics are fractions. */
export function reportAsCsv(report: Report): string {
  const lines = report.systems.flatMap((system) =>
    system.results.flatMap((result, d) => (result ? [lineOf(report, system, d, result)] : [])),
  );
  const header = Object.keys(lines[0]);
  const rows = [header, ...lines.map((line) => header.map((name) => line[name]))];
  return rows.map((row) => `${row.map(quote).join(',')}\r\n`).join('');
}

function lineOf(report: Report, system: System, d: number, result: SystemResult): Record<string, Value> {
  const { name: dataset, rowsHash, rows } = report.datasets[d];
  const line: Record<string, Value> = {
    dataset,
    test_rows_hash: rowsHash,
    test_rows: rows,
    seen_items: report.seen,
    model: system.model,
    encoder: system.encoder ?? '',
    settings: system.settings,
    seeds: result.seeds.join(' '),
  };
  for (const metric of report.metrics) {
    const { mean, sd, values, best, comparison } = result.metrics[metric];
    Object.assign(line, {
      [metric]: mean,
      [`${metric} sd`]: sd,
      [`${metric} by seed`]: values.join(' '),
      [`${metric} best`]: best ? 1 : 0,
      [`${metric} against`]: comparison?.against,
      [`${metric} improvement`]: comparison?.improvement,
      [`${metric} p`]: comparison?.p,
      [`${metric} p holm`]: comparison?.adjusted,
    });
  }
  Object.assign(line, {
    epochs: result.cost?.epochs,
    seconds_per_epoch: result.cost?.secondsPerEpoch,
    total_seconds: result.cost?.totalSeconds,
    eval_rows_per_second: result.cost?.evalRowsPerSecond,
    peak_mb: result.cost?.peakMb,
  });
  for (const bucket of bucketNames(report)) {
    line[`${bucket} rows`] = result.buckets[bucket]?.rows;
    for (const metric of report.metrics)
      line[`${bucket} ${metric}`] = result.buckets[bucket]?.metrics[metric];
  }
  return line;
}

function quote(value: Value): string {
  const text = value === undefined ? '' : String(value);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
