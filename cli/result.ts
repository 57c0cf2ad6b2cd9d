import type { RunResult } from '../training/index.ts';
import { formatDuration, formatNumber, table } from './style.ts';

type Metrics = RunResult['test'];

const cell = (value: number | undefined) => value?.toFixed(4) ?? '';

/** A run's result for people. */
export function resultAsText(result: RunResult): string {
  const { rows } = result;
  const dataset = `${result.dataset}${result.synthetic ? ' (synthetic)' : ''}`;
  const encoder = result.encoder ? `, encoder ${result.encoder}` : '';
  return [
    `${result.model} on ${dataset}${encoder}, seed ${result.seed}, ${result.device}`,
    `${formatNumber(result.items)} items; rows: ${formatNumber(rows.train)} train, ${formatNumber(rows.valid)} valid, ${formatNumber(rows.test)} test`,
    courseAsText(result),
    '',
    metricsAsText(result),
    '',
    popularityAsText(result),
    '',
    `run folder: ${result.run}`,
  ].join('\n');
}

function courseAsText({ epochs, timing, peakRssMb }: RunResult): string {
  const training = epochs.run
    ? `${epochs.run} epochs, best ${epochs.best} (${epochs.stop}); ${timing.trainSecondsPerEpoch.toFixed(1)} s an epoch`
    : epochs.stop;
  return `${training}, ${formatDuration(timing.totalSeconds)} in all, ${formatNumber(peakRssMb)} MiB at most`;
}

/** With one right item a row, hit equals recall, MAP equals MRR, and precision is recall / k: --json has them all. */
function metricsAsText({ valid, test, baselines }: RunResult): string {
  const names = Object.keys(test).filter((name) => !/^(hit|map|precision)@/.test(name));
  const yardsticks = Object.values(baselines);
  return table(
    ['', 'valid', 'test', ...Object.keys(baselines).map((name) => `test: ${name}`)],
    names.map((name) => [
      name,
      cell(valid[name]),
      cell(test[name]),
      ...yardsticks.map((yardstick) => cell(yardstick.test[name])),
    ]),
  );
}

/** The model and its yardsticks on rare and on frequent targets. */
function popularityAsText({ model, test, byPopularity, baselines }: RunResult): string {
  const lengths = Object.keys(test).flatMap((name) => /^recall@(\d+)$/.exec(name)?.[1] ?? []);
  const k = lengths.includes('10') ? '10' : lengths[0];
  const both = (metrics: Metrics) =>
    `recall@${k}` in metrics ? `${cell(metrics[`recall@${k}`])} / ${cell(metrics[`ndcg@${k}`])}` : '-';
  const columns = [byPopularity, ...Object.values(baselines).map((yardstick) => yardstick.byPopularity)];
  return [
    `test recall@${k} / ndcg@${k}, by how many training rows have the target:`,
    table(
      ['', 'rows', model, ...Object.keys(baselines)],
      Object.entries(byPopularity).map(([bucket, { rows }]) => [
        bucket,
        formatNumber(rows),
        ...columns.map((column) => both(column[bucket as keyof typeof byPopularity].metrics)),
      ]),
    ),
  ].join('\n');
}
