import type { RunResult } from '../training/index.ts';
import { formatDuration, formatNumber, table } from './style.ts';

/** A run's result for people. */
export function resultAsText(result: RunResult): string {
  const { rows, epochs, timing, valid, test, popularity } = result;
  const dataset = `${result.dataset}${result.synthetic ? ' (synthetic)' : ''}`;
  const encoder = result.encoder ? `, encoder ${result.encoder}` : '';
  const cell = (value: number | undefined) => value?.toFixed(4) ?? '';
  // With one right item a row, hit equals recall, MAP equals MRR, and precision is recall / k: --json has them all.
  const names = Object.keys(test).filter((name) => !/^(hit|map|precision)@/.test(name));
  const metrics = names.map((name) => [name, cell(valid[name]), cell(test[name]), cell(popularity[name])]);
  return [
    `${result.model} on ${dataset}${encoder}, seed ${result.seed}, ${result.device}`,
    `${formatNumber(result.items)} items; rows: ${formatNumber(rows.train)} train, ${formatNumber(rows.valid)} valid, ${formatNumber(rows.test)} test`,
    `${epochs.run} epochs, best ${epochs.best} (${epochs.stop}); ${timing.trainSecondsPerEpoch.toFixed(1)} s an epoch, ${formatDuration(timing.totalSeconds)} in all, ${formatNumber(Math.round(result.peakRssMb))} MiB at most`,
    '',
    table(['', 'valid', 'test', 'most popular'], metrics),
    '',
    `run folder: ${result.run}`,
  ].join('\n');
}
