import type { Answers } from '../search/query.ts';
import type { SearchResult } from '../search/run.ts';
import { formatDuration, formatNumber, paint, table } from './style.ts';

/** Characters of an item's text that a line shows. */
const shown = 160;

const percent = (value: number | undefined) => (value === undefined ? '' : (100 * value).toFixed(2));

/** A search's result for people; figures in percent, as the paper's. */
export function searchAsText(result: SearchResult): string {
  const { counts, meanLength, gains, domains, seconds } = result;
  const names = Object.keys(result.overQueries).filter((name) => /^(ndcg|recall|mrr)@/.test(name));
  const row = (label: string, queries: number, metrics: SearchResult['overQueries']) => [
    label,
    formatNumber(queries),
    ...names.map((name) => percent(metrics[name])),
  ];
  const total = domains.reduce((sum, { queries }) => sum + queries, 0);
  return [
    `${result.method} on ${result.dataset}: ${formatNumber(total)} queries (${formatNumber(Math.round(meanLength.query))} characters on average), pool of ${formatNumber(counts.items)} items (${formatNumber(Math.round(meanLength.item))} characters)`,
    `gains: ${Object.entries(gains)
      .map(([label, gain]) => `${label} ${gain}`)
      .join(', ')}; figures in percent`,
    ...notesOf(result),
    '',
    table(
      ['', 'queries', ...names],
      [
        row(`All, mean over ${domains.length} domains`, total, result.overDomains),
        row('All, mean over queries', total, result.overQueries),
        ...domains.map(({ domain, queries, metrics }) => row(domain || '(no domain)', queries, metrics)),
      ],
    ),
    '',
    `made ready in ${formatDuration(seconds.open)}, searched in ${formatDuration(seconds.search)}, ${formatNumber(result.peakRssMb)} MiB at most`,
    `results, TREC run and qrels: ${result.run}`,
  ].join('\n');
}

function notesOf({ unanswered, missing, facts }: SearchResult): string[] {
  const notes: string[] = [];
  if (missing)
    notes.push(`relevant items that the pool lacks, which count as not found: ${formatNumber(missing)}`);
  if (unanswered) notes.push(`queries that found nothing: ${formatNumber(unanswered)}`);
  return [...notes, ...Object.entries(facts).map(([fact, value]) => `${fact}: ${factAsText(value)}`)];
}

const factAsText = (value: unknown) => (typeof value === 'number' ? formatNumber(value) : String(value));

/** Items found for people. */
export function answersAsText({ dataset, method, items, answers }: Answers): string {
  const lines = [`${method} on ${dataset}, ${formatNumber(items)} items`];
  for (const { query, found } of answers) {
    lines.push('', paint(process.stdout, 'bold', query));
    if (!found.length) lines.push('  nothing found');
    for (const { rank, item, score, domain, text } of found) {
      const start = text.length > shown ? `${text.slice(0, shown).trimEnd()}...` : text;
      lines.push(
        `${String(rank).padStart(3)}. ${item}  ${score.toFixed(4)}${domain && `  [${domain}]`}`,
        `     ${start}`,
      );
    }
  }
  return lines.join('\n');
}
