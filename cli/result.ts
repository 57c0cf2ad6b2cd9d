import type { RunResult } from '../training/index.ts';
import { formatDuration, formatNumber, table } from './style.ts';

/** A run's result for people. */
export function resultAsText(result: RunResult): string {
  const names = Object.keys(result.test);
  const metrics = (set: 'valid' | 'test') => names.map((name) => result[set][name]?.toFixed(4) ?? '');
  const { rows, epochs, timing } = result;
  const encoder = result.encoder ? `, encoder ${result.encoder}` : '';
  return [
    `${result.model} on ${result.dataset}${encoder}, seed ${result.seed}, ${result.device}`,
    `${formatNumber(result.items)} items; rows: ${formatNumber(rows.train)} train, ${formatNumber(rows.valid)} valid, ${formatNumber(rows.test)} test`,
    `${epochs.run} epochs, best ${epochs.best} (${epochs.stop}); ${timing.trainSecondsPerEpoch.toFixed(1)} s an epoch, ${formatDuration(timing.totalSeconds)} in all, ${formatNumber(Math.round(result.peakRssMb))} MiB at most`,
    '',
    table(
      ['', ...names],
      [
        ['valid', ...metrics('valid')],
        ['test', ...metrics('test')],
      ],
    ),
    '',
    `run folder: ${result.run}`,
  ].join('\n');
}
