import type { Manifest } from '../data/dataset.ts';
import type { DatasetSummary } from '../data/inspect.ts';
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
  const { texts, cold, histories, examples } = summary;
  const columns = ['rows', 'mean', 'min', 'p25', 'median', 'p75', 'p95', 'max'] as const;
  const show = ({ id, text }: { id: string; text?: string }) =>
    `${id}${text ? `  ${shorten(text, 80)}` : ''}`;
  return [
    manifestAsText(summary),
    '',
    texts
      ? `item texts: ${formatNumber(Math.round(texts.meanCharacters))} characters on average, ${formatNumber(texts.empty)} empty`
      : 'item texts: none',
    `items without a training interaction: ${formatNumber(cold.items)}; they are the target of ${formatNumber(cold.validRows)} valid and ${formatNumber(cold.testRows)} test rows`,
    '',
    'lengths of histories:',
    table(
      ['', ...columns],
      Object.entries(histories).map(([split, lengths]) => [
        split,
        ...columns.map((column) => shortNumber(lengths[column])),
      ]),
    ),
    ...examples.flatMap(({ user, history, target }) => [
      '',
      `user ${user}, the last of its history and the target:`,
      ...history.map((item) => `    ${show(item)}`),
      `  > ${show(target)}`,
    ]),
  ].join('\n');
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
