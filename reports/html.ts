import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { chartsOf } from './charts.ts';
import type { Report } from './report.ts';
import { nameOf } from './runs.ts';
import { type Cell, type Table, tablesOf } from './tables.ts';

/** A report as one page that needs nothing else: its style, scripts and data are in it, Vega (half a megabyte) among them. */
export function reportAsHtml(report: Report): string {
  const charts = chartsOf(report);
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>rec report: ${escaped(report.datasets.map(({ name }) => name).join(', '))}</title>
<link rel="icon" href="data:,">
<style>
${ownFile('page.css')}</style>
</head>
<body>
<h1>${escaped(report.datasets.map(({ name }) => name).join(', '))}</h1>
<p><input id="filter" type="search" placeholder="systems whose name has ..." aria-label="filter"></p>
${tablesOf(report).map(tableAsHtml).join('\n')}
${charts.map(({ dataset }, i) => `<h2>${escaped(dataset)}</h2>\n<div id="chart-${i}"></div>`).join('\n')}
<h2>Runs</h2>
${runsAsHtml(report)}
<script>${inScript(vegaBundle())}</script>
<script>const charts = ${JSON.stringify(charts).replaceAll('<', '\\u003c')};
${inScript(ownFile('page.js'))}</script>
</body>
</html>
`;
}

function tableAsHtml({ title, labels, groups, rows, notes }: Table): string {
  const header = [...labels, ...groups.flatMap(({ columns }) => columns)];
  const sorters = header.map(
    (name, c) =>
      `<th${c < labels.length ? '' : ' class="number"'} data-column="${c}"><button>${escaped(name)}</button></th>`,
  );
  const titles = groups.map(
    ({ title, columns }) => `<th class="group" colspan="${columns.length}">${escaped(title)}</th>`,
  );
  const line = (row: Table['rows'][number]) => {
    const names = labels.map((_, c) => `<td>${escaped(row.labels[c] ?? '')}</td>`);
    return `<tr data-system="${escaped(row.system ?? '')}">${names.join('')}${row.cells.map(cellAsHtml).join('')}</tr>`;
  };
  const [body, foot] = [true, false].map((named) =>
    rows.filter(({ system }) => (system !== undefined) === named).map(line),
  );
  return `<h2>${escaped(title)}</h2>
<div class="scroll"><table>
<thead><tr><th colspan="${labels.length}"></th>${titles.join('')}</tr>
<tr>${sorters.join('')}</tr></thead>
<tbody>
${body.join('\n')}
</tbody>
<tfoot>${foot.join('\n')}</tfoot>
</table></div>
<p class="notes">${notes.map(escaped).join('<br>')}</p>`;
}

function cellAsHtml({ text, bold, suffix, value }: Cell): string {
  const shown = bold ? `<b>${escaped(text)}</b>` : escaped(text);
  const rest = suffix ? `<span class="suffix">${escaped(suffix)}</span>` : '';
  return `<td class="number"${value === undefined ? '' : ` data-value="${value}"`}>${shown}${rest}</td>`;
}

function runsAsHtml({ systems, datasets, leftOut }: Report): string {
  const lines = systems.flatMap(({ name, results }) =>
    results.flatMap((result, d) =>
      result?.runs.length ? [`${name} on ${datasets[d].name}: ${result.runs.join(', ')}`] : [],
    ),
  );
  const others = leftOut.map((run) => `left out: ${nameOf(run)}: ${run.reason}`);
  return `<ul class="notes">${[...lines, ...others].map((line) => `<li>${escaped(line)}</li>`).join('\n')}</ul>`;
}

const ownFile = (name: string) => readFileSync(new URL(name, import.meta.url), 'utf8');
const vegaBundle = () =>
  readFileSync(
    createRequire(import.meta.url)
      .resolve('vega')
      .replace(/[^/\\]*$/, 'vega.min.js'),
    'utf8',
  );

/** A script may hold what would end it in strings and patterns only, where a backslash changes nothing. */
const inScript = (code: string) => code.replaceAll('</script', '<\\/script');

const entities: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' };
const escaped = (text: string) => text.replace(/[&<>"]/g, (character) => entities[character]);
