import { formatDuration } from '../common/format.ts';
import type { Figure, Report, System, SystemResult } from './report.ts';

/** A table of any format: text, Markdown, LaTeX, HTML. */
export interface Table {
  title: string;
  /** The first columns name the row; the others belong to one of the groups each. */
  labels: string[];
  groups: { title: string; columns: string[] }[];
  /** `system` is the name of the one that a row is about; undefined for a row about all. */
  rows: { system?: string; labels: string[]; cells: Cell[] }[];
  /** What the reader must know of it, a sentence or two each. */
  notes: string[];
}

export interface Cell {
  text: string;
  bold?: boolean;
  /** What follows the text: a standard deviation, stars. */
  suffix?: string;
  /** What HTML sorts by. */
  value?: number;
}

/** Differences below this level are called significant. */
const LEVEL = 0.05;
const empty: Cell = { text: '' };

/** The tables of a report: metrics and cost, differences and their tests, rare and frequent targets. */
export function tablesOf(report: Report): Table[] {
  return [metricsTable(report), differencesTable(report), bucketsTable(report)];
}

/** In the layout of the paper's Table 4, with time and memory. */
function metricsTable(report: Report): Table {
  const { metrics } = report;
  const averaged = report.systems.some(({ results }) =>
    results.some((result) => (result?.seeds.length ?? 0) > 1),
  );
  return {
    title: 'Test metrics, in percent',
    labels: [...labelsOf(report), 'seeds'],
    groups: groups(report, [...metrics.map(shortName), 's/epoch', 'time', 'MB']),
    rows: [
      ...report.systems.map((system) => ({
        system: system.name,
        labels: [...nameCells(report, system), seedsOf(system)],
        cells: system.results.flatMap((result) => [
          ...metrics.map((metric) => (result ? figureCell(result.metrics[metric]) : empty)),
          ...costCells(result),
        ]),
      })),
      improvementRow(report),
    ],
    notes: [
      ...(averaged ? ['Mean ± standard deviation over seeds, where there are several.'] : []),
      'Bold: the best of a column. ' +
        `*: better than the best baseline, p < ${LEVEL} by the paired randomisation test over users, after Holm's correction for all ${report.tests} tests of this report.`,
      report.seen === 'kept'
        ? "Items of a row's own history compete with its target."
        : "Items of a row's own history do not compete with its target.",
      'Time: training and evaluation of one run; MB: the most memory that it held.',
      ...syntheticNote(report),
    ],
  };
}

/** The best of each column beside the best baseline. */
function improvementRow({ systems, metrics, datasets }: Report): Table['rows'][number] {
  const cells = datasets.flatMap((_, d) => [
    ...metrics.map((metric) => {
      const figures = systems.flatMap(({ results }) => results[d]?.metrics[metric] ?? []);
      const compared = figures.filter(({ comparison }) => comparison);
      const highest = compared.reduce((a, b) => (b.mean > a.mean ? b : a), compared[0]);
      return highest ? { text: percent(highest.comparison?.improvement), suffix: stars(highest) } : empty;
    }),
    ...costCells(undefined),
  ]);
  return { labels: ['improvement'], cells };
}

function differencesTable(report: Report): Table {
  const { metrics, systems } = report;
  return {
    title: 'Difference from the best baseline, and p after correction',
    labels: labelsOf(report),
    groups: groups(report, metrics.map(shortName)),
    rows: systems
      .filter(({ results }) => results.some((result) => result && hasComparison(result)))
      .map((system) => ({
        system: system.name,
        labels: nameCells(report, system),
        cells: system.results.flatMap((result) =>
          metrics.map((metric) => comparisonCell(result?.metrics[metric])),
        ),
      })),
    notes: [
      'Each system beside the best baseline of the column; without --baseline, beside the best other system.',
      'The test is over users, with a metric averaged over seeds first: it asks whether a difference would hold for other users, not for other seeds.',
    ],
  };
}

function bucketsTable(report: Report): Table {
  const [k] = report.metrics.map((metric) => metric.split('@')[1]);
  const present = report.systems.filter(({ results }) =>
    results.some((result) => result && bucketsOf(result).length),
  );
  const buckets = bucketNames(report);
  const header = report.datasets.map(({ name }, d) => ({
    title: name,
    columns: buckets.map((bucket) => {
      const rows = present
        .map(({ results }) => results[d]?.buckets[bucket]?.rows)
        .find((n) => n !== undefined);
      return `${bucket} (${rows ?? 0})`;
    }),
  }));
  return {
    title: `Recall@${k} / NDCG@${k} in percent, by how many training rows have the target`,
    labels: labelsOf(report),
    groups: header,
    rows: present.map((system) => ({
      system: system.name,
      labels: nameCells(report, system),
      cells: system.results.flatMap((result) =>
        buckets.map((bucket) => {
          const metrics = result?.buckets[bucket]?.metrics ?? {};
          const [recall, ndcg] = [metrics[`recall@${k}`], metrics[`ndcg@${k}`]];
          return recall === undefined
            ? empty
            : { text: `${hundredfold(recall)} / ${hundredfold(ndcg)}`, value: recall };
        }),
      ),
    })),
    notes: ['In brackets: the test rows of the bucket.'],
  };
}

const bucketsOf = (result: SystemResult) => Object.keys(result.buckets);
/** Names of the popularity buckets, rarest first. */
export const bucketNames = ({ systems }: Report): string[] => [
  ...new Set(
    systems.flatMap(({ results }) => results.flatMap((result) => (result ? bucketsOf(result) : []))),
  ),
];
const hasComparison = ({ metrics }: SystemResult) =>
  Object.values(metrics).some(({ comparison }) => comparison);

const groups = ({ datasets }: Report, columns: string[]): Table['groups'] =>
  datasets.map(({ name }) => ({ title: name, columns }));

/** Columns that would be empty are left out. */
function labelsOf({ systems }: Report): string[] {
  return [
    'model',
    ...(systems.some(({ encoder }) => encoder) ? ['encoder'] : []),
    ...(systems.some(({ settings }) => settings) ? ['settings'] : []),
  ];
}

function nameCells(report: Report, { model, encoder, settings }: System): string[] {
  const cells: Record<string, string> = { model, encoder: encoder ?? '', settings };
  return labelsOf(report).map((label) => cells[label]);
}

/** How many seeds: '3', or '1-3' where datasets differ. */
function seedsOf({ results }: System): string {
  const counts = results.flatMap((result) => (result?.seeds.length ? [result.seeds.length] : []));
  const [least, most] = [Math.min(...counts), Math.max(...counts)];
  return !counts.length ? '' : least === most ? String(least) : `${least}-${most}`;
}

function figureCell(figure: Figure): Cell {
  const { mean, sd, best } = figure;
  const spread = sd === undefined ? '' : ` ±${hundredfold(sd)}`;
  return { text: hundredfold(mean), bold: best, suffix: spread + stars(figure), value: mean };
}

function stars({ comparison }: Figure): string {
  const { adjusted = 1, improvement = 0 } = comparison ?? {};
  return adjusted < LEVEL && improvement > 0 ? '*' : '';
}

function comparisonCell(figure: Figure | undefined): Cell {
  if (!figure?.comparison) return empty;
  const { improvement, adjusted } = figure.comparison;
  return { text: percent(improvement), suffix: ` (${pValue(adjusted)})`, value: improvement };
}

function costCells(result: SystemResult | undefined): Cell[] {
  if (!result?.cost) return [empty, empty, empty];
  const { secondsPerEpoch, totalSeconds, peakMb } = result.cost;
  return [
    secondsPerEpoch ? { text: secondsPerEpoch.toPrecision(3), value: secondsPerEpoch } : empty,
    { text: formatDuration(totalSeconds), value: totalSeconds },
    { text: peakMb.toFixed(0), value: peakMb },
  ];
}

const shortNames: Record<string, string> = { recall: 'R', ndcg: 'N' };

/** 'recall@10' -> 'R@10', as in the paper; others keep their name. */
export function shortName(metric: string): string {
  const [name, k] = metric.split('@');
  return `${shortNames[name] ?? name.toUpperCase()}@${k}`;
}

const hundredfold = (fraction: number) => (100 * fraction).toFixed(2);
const percent = (ratio: number | undefined) =>
  ratio === undefined ? '-' : `${ratio >= 0 ? '+' : ''}${(100 * ratio).toFixed(1)}%`;

/** '.0312', '<.0001'. */
function pValue(p: number): string {
  return p < 1e-4 ? '<.0001' : p.toFixed(4).replace(/^0/, '');
}

function syntheticNote({ datasets }: Report): string[] {
  const names = datasets.filter(({ synthetic }) => synthetic).map(({ name }) => name);
  return names.length ? [`Generated, not real data: ${names.join(', ')}.`] : [];
}
