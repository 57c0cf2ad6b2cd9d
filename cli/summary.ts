import type { Manifest } from '../data/dataset.ts';
import { binLabel, type Histogram } from '../data/histogram.ts';
import type { DatasetSummary, TextSummary } from '../data/inspect.ts';
import type { PairsReport } from '../data/pairs/index.ts';
import { formatNumber, table } from './style.ts';

type Facts = Pick<Manifest, 'name' | 'synthetic' | 'layout' | 'counts' | 'steps' | 'bad' | 'ties'>;

/** How a dataset came to be, for people. */
export function manifestAsText(manifest: Facts): string {
  const { users, items, interactions, train, valid, test } = mapNumbers(manifest.counts);
  return [
    `${manifest.name}${manifest.synthetic ? ' (synthetic)' : ''}, read as ${manifest.layout}, ties in ${manifest.ties}`,
    `${users} users, ${items} items, ${interactions} interactions; rows: ${train} train, ${valid} valid, ${test} test`,
    ...(manifest.steps.length ? ['', stepsAsText(manifest.steps)] : []),
    ...badRowsAsText(manifest.bad),
  ].join('\n');
}

function badRowsAsText(bad: Manifest['bad']): string[] {
  return bad.map(
    ({ file, reason, count, lines }) =>
      `bad rows: ${formatNumber(count)} in ${file}: ${reason} (lines ${lines.join(', ')}${count > lines.length ? ', ...' : ''})`,
  );
}

/** How pretraining pairs came to be, for people. */
export function pairsAsText({
  file,
  pairs,
  users,
  items,
  reviews,
  dropped,
  domains,
  badRows,
}: PairsReport): string {
  const rows = Object.entries({ ...dropped }).map(([rule, count]) => [rule, formatNumber(count)]);
  const { train, valid, test } = mapNumbers(pairs);
  return [
    `${file}: ${train} pairs to train on, ${valid} valid, ${test} test; ${formatNumber(users)} users, ${formatNumber(items)} items`,
    `of ${formatNumber(reviews)} reviews were left out:`,
    table(['rule', 'reviews'], rows),
    table(
      ['domain', 'pairs'],
      Object.entries(domains).map(([domain, count]) => [domain, formatNumber(count)]),
    ),
    ...badRowsAsText(badRows),
  ].join('\n');
}

/** What is in a dataset, for people. */
export function summaryAsText(summary: DatasetSummary): string {
  const { table3, texts, cold, histories, histograms, examples } = summary;
  const columns = ['rows', 'mean', 'min', 'p25', 'median', 'p75', 'p95', 'max'] as const;
  const show = ({ id, text }: { id: string; text?: string }) =>
    `${id}${text ? `  ${shorten(text, 80)}` : ''}`;
  const { averageLength, averageCharacters, ...counts } = table3;
  return [
    manifestAsText(summary),
    '',
    table(
      [...Object.keys(counts), 'average length', 'average characters'],
      [
        [
          ...Object.values(counts).map(formatNumber),
          averageLength.toFixed(2),
          averageCharacters?.toFixed(1) ?? '(no texts)',
        ],
      ],
    ),
    '(length of histories, cut to their last 50, and of item texts)',
    '',
    ...(texts ? textsAsText(texts) : []),
    `items without a training interaction: ${formatNumber(cold.items)}; they are the target of ${formatNumber(cold.validRows)} valid and ${formatNumber(cold.testRows)} test rows`,
    ...orderAsText(summary),
    '',
    'lengths of histories:',
    table(
      ['', ...columns],
      Object.entries(histories).map(([split, lengths]) => [
        split,
        ...columns.map((column) => shortNumber(lengths[column])),
      ]),
    ),
    ...histograms.flatMap((histogram) => ['', ...bars(histogram)]),
    ...examples.flatMap(({ user, history, target }) => [
      '',
      `user ${user}, the last of its history and the target:`,
      ...history.map((item) => `    ${show(item)}`),
      `  > ${show(target)}`,
    ]),
  ].join('\n');
}

function textsAsText({ empty, emptyItems, duplicates, duplicateTexts }: TextSummary): string[] {
  const some = (count: number, list: readonly string[]) =>
    list.length ? ` (${list.join(', ')}${count > list.length ? ', ...' : ''})` : '';
  return [
    `items without a text: ${formatNumber(empty)}${some(empty, emptyItems)}`,
    `items whose text another has too: ${formatNumber(duplicates)}`,
    ...duplicateTexts.map((text) => `    ${shorten(text, 80)}`),
  ];
}

/** Whether the split follows time, and whether a row's answer is in its history. */
function orderAsText({ times, seenTargets }: DatasetSummary): string[] {
  const seen = Object.entries(seenTargets).filter(([, rows]) => rows);
  const told = seen.map(([split, rows]) => `${formatNumber(rows)} ${split}`).join(', ');
  const lines = [`rows whose target is in their own history: ${told || 'none'}`];
  if (!times) return [...lines, 'times: not known, the files bring histories'];
  const day = (ms: number) => new Date(ms).toISOString().slice(0, 10);
  const spans = (['train', 'valid', 'test'] as const).flatMap((split) => {
    const span = times[split];
    return span ? [`${split} ${span.map(day).join(' to ')}`] : [];
  });
  lines.push(`times: ${spans.join(', ')}`);
  lines.push(
    times.trainAfterValid
      ? `train interactions that are not before the first valid one: ${formatNumber(times.trainAfterValid)} (a split by timestamp would have none)`
      : 'every train interaction is before the first valid one',
  );
  if (times.usersOutOfOrder)
    lines.push(
      `LEAK: ${formatNumber(times.usersOutOfOrder)} users have train interactions after their own valid or test ones, or valid after test`,
    );
  return lines;
}

/** A histogram as lines: label, bar, count. */
function bars({ title, unit, bins }: Histogram): string[] {
  const most = bins.reduce((max, { count }) => Math.max(max, count), 1);
  const labels = bins.map(binLabel);
  const width = Math.max(...labels.map((label) => label.length));
  return [
    `${title}, ${unit}:`,
    ...bins.map(({ count }, i) => {
      const bar = '#'.repeat(Math.ceil((40 * count) / most));
      return `  ${labels[i].padStart(width)}  ${bar}${bar && ' '}${formatNumber(count)}`;
    }),
  ];
}

function stepsAsText(steps: Manifest['steps']): string {
  return table(
    ['rule', 'in', 'out', 'unit', ''],
    steps.map((step) => [
      step.rule,
      formatNumber(step.in),
      formatNumber(step.out),
      step.unit,
      step.note ?? '',
    ]),
  );
}

function mapNumbers<K extends string>(counts: Record<K, number>): Record<K, string> {
  const entries = Object.entries<number>(counts).map(([name, value]) => [name, formatNumber(value)]);
  return Object.fromEntries(entries) as Record<K, string>;
}

function shortNumber(value: number): string {
  return Number.isInteger(value) ? formatNumber(value) : value.toFixed(2);
}

function shorten(text: string, length: number): string {
  return text.length > length ? `${text.slice(0, length - 3)}...` : text;
}
