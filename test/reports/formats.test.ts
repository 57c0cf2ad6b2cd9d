import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parse } from 'csv-parse/sync';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { UsageError } from '../../common/errors.ts';
import { Progress } from '../../common/progress.ts';
import { reportAsCsv } from '../../reports/csv.ts';
import { type Report, writeReport } from '../../reports/index.ts';
import { reportAsLatex } from '../../reports/latex.ts';
import { reportAsMarkdown } from '../../reports/markdown.ts';
import { reportAsText } from '../../reports/text.ts';
import { type Described, writeRun } from './support.ts';

const test = suite<{ folder: string; report: Report }>('formats');

const runs: Described[] = [
  ...[1, 2].map((seed) => ({ model: 'unisrec', encoder: 'file:a_b|c.feature', seed, level: 5 })),
  { model: 'sasrec', level: 30 },
  { model: 'sasrec', level: 30, dataset: 'games & toys' },
  { model: 'sasrec', level: 20, dataset: 'games & toys', settings: { 'model.layers': 4 } },
];

test.before(async (context) => {
  context.folder = mkdtempSync(join(tmpdir(), 'rec-formats-'));
  for (const [i, run] of runs.entries()) await writeRun(join(context.folder, 'runs', `run-${i}`), run);
  const options = { paths: [join(context.folder, 'runs')], baselines: [], out: [] };
  context.report = await writeReport(options, new Progress());
});
test.after(({ folder }) => rmSync(folder, { recursive: true }));

const percent = (fraction: number) => (100 * fraction).toFixed(2);

test('text: figures in their columns, at most as wide as asked', ({ report }) => {
  const { mean, sd } = report.systems.find(({ model }) => model === 'unisrec')!.results[0]!.metrics[
    'ndcg@10'
  ];
  const wide = reportAsText(report, { width: 400, bold: (text) => `\x1b[1m${text}\x1b[0m` }).split('\n');
  const header = wide.findIndex((line) => line.startsWith('model'));
  assert.match(wide[header - 1], /^ +shop +games & toys$/);
  assert.equal(wide[header].split(/ +/).slice(0, 11), [
    ...['model', 'encoder', 'settings', 'seeds'],
    ...['R@10', 'N@10', 'R@50', 'N@50', 's/epoch', 'time', 'MB'],
  ]);
  const row = wide.find((line) => line.startsWith('unisrec '))!;
  assert.ok(row.includes(`\x1b[1m${percent(mean)}\x1b[0m ±${percent(sd!)}*`), row);
  // The end of a figure stands below the end of every other one of its column.
  // biome-ignore lint/suspicious/noControlCharactersInRegex: that of colours, which take no place
  const plain = row.replace(/\x1b\[\d+m/g, '');
  const popularity = report.systems.find(({ model }) => model === 'popularity')!;
  const text = percent(popularity.results[0]!.metrics['recall@10'].mean);
  const above = wide.find((line) => line.startsWith('popularity'))!;
  assert.is(above.indexOf(text) + text.length, plain.indexOf(' ±'));

  const narrow = reportAsText(report, { width: 90 }).split('\n');
  for (const line of narrow) assert.ok(line.length <= 90, line);
  for (const label of ['R@10', 'N@10', 'R@50', 'N@50', 's/epoch', 'time'])
    assert.is(narrow.join(' ').split(` ${label}`).length - 1, /@/.test(label) ? 4 : 2, label);
});

test('Markdown: every line of a table has as many cells, and special characters are escaped', ({
  report,
}) => {
  const lines = reportAsMarkdown(report).split('\n');
  const cells = (line: string) => line.match(/(?<!\\)\|/g)!.length - 1;
  const tables = lines.flatMap((line, i) => (/^\| ---/.test(line) ? [i] : []));
  assert.is(tables.length, 3);
  for (const at of tables) {
    assert.is(cells(lines[at - 1]), cells(lines[at]));
    for (let i = at + 1; lines[i]; i++) assert.is(cells(lines[i]), cells(lines[at]), lines[i]);
  }
  const { mean } = report.systems.find(({ model }) => model === 'unisrec')!.results[0]!.metrics['recall@10'];
  const row = lines.find((line) => line.startsWith('| unisrec'))!;
  assert.match(row, `| file:a\\_b\\|c.feature |`);
  assert.match(row, `| **${percent(mean)}** ±`);
});

test('LaTeX: every line has as many cells as the table has columns; nothing special is left', ({
  report,
}) => {
  const tables = reportAsLatex(report).split('\\begin{table*}').slice(1);
  assert.is(tables.length, 3);
  for (const table of tables) {
    const columns = /\\begin\{tabular\}\{(l+r+)\}/.exec(table)![1].length;
    const lines = table.slice(table.indexOf('\\toprule'), table.indexOf('\\bottomrule')).split('\n');
    for (const line of lines.filter((text) => text.endsWith('\\\\'))) {
      const spans = [...line.matchAll(/\\multicolumn\{(\d+)\}/g)].reduce(
        (sum, [, n]) => sum + Number(n) - 1,
        0,
      );
      assert.is(line.match(/(?<!\\)&/g)!.length + 1 + spans, columns, line);
      assert.not.match(line, /(?<!\\)[%#_]/);
    }
    const braces = (brace: string) => table.split(new RegExp(`(?<!\\\\)\\${brace}`)).length;
    assert.is(braces('{'), braces('}'));
  }
  assert.match(tables[0], 'games \\& toys');
  assert.match(tables[0], 'file:a\\_b|c.feature');
  assert.match(tables[0], '\\textbf{');
});

test('CSV: read back, it has every figure at full precision', ({ report }) => {
  const rows = parse(reportAsCsv(report), { columns: true }) as Record<string, string>[];
  const results = report.systems.flatMap(({ results }) => results.filter((result) => result));
  assert.is(rows.length, results.length);
  const row = rows.find(({ model }) => model === 'unisrec')!;
  const result = report.systems.find(({ model }) => model === 'unisrec')!.results[0]!;
  const figure = result.metrics['ndcg@50'];
  assert.equal([row.dataset, row.encoder, row.seeds], ['shop', 'file:a_b|c.feature', '1 2']);
  assert.is(Number(row['ndcg@50']), figure.mean);
  assert.is(Number(row['ndcg@50 sd']), figure.sd);
  assert.equal(row['ndcg@50 by seed'].split(' ').map(Number), figure.values);
  assert.is(Number(row['ndcg@50 p holm']), figure.comparison?.adjusted);
  assert.is(Number(row.peak_mb), result.cost?.peakMb);
  assert.is(Number(row['1-5 recall@10']), result.buckets['1-5'].metrics['recall@10']);
  const quoted = rows.find(({ settings }) => settings === 'model.layers=4')!;
  assert.is(quoted.dataset, 'games & toys');
  assert.is(rows.find(({ model }) => model === 'popularity')?.['recall@10 sd'], '');
});

test('files: the ending of the name decides; another one is refused before anything is read', async ({
  folder,
  report,
}) => {
  const endings = ['.md', '.tex', '.csv', '.json', '.html'];
  const out = endings.map((ending) => join(folder, `report${ending}`));
  await writeReport({ paths: [join(folder, 'runs')], baselines: [], out }, new Progress());
  const texts = out.map((path) => readFileSync(path, 'utf8'));
  assert.is(texts[0], reportAsMarkdown(report));
  assert.is(texts[1], reportAsLatex(report));
  assert.is(texts[2], reportAsCsv(report));
  assert.equal(JSON.parse(texts[3]), JSON.parse(JSON.stringify(report)));
  assert.match(texts[4], /^<!doctype html>/);
  const error = await writeReport(
    { paths: ['nowhere'], baselines: [], out: ['a.pdf'] },
    new Progress(),
  ).catch((e) => e);
  assert.instance(error, UsageError);
  assert.match(error.message, '--out a.pdf: the name must end with one of [.md, .tex, .csv, .json, .html]');
  assert.not.ok(existsSync('a.pdf'));
});

test.run();
