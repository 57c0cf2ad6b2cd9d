import type { Report } from './report.ts';
import { type Cell, type Table, tablesOf } from './tables.ts';

/** A report as LaTeX tables; they need the packages booktabs and graphicx. */
export function reportAsLatex(report: Report): string {
  return `${['% \\usepackage{booktabs,graphicx}', ...tablesOf(report).map(tableAsLatex)].join('\n\n')}\n`;
}

function tableAsLatex({ title, labels, groups, rows, notes }: Table): string {
  const columns = groups.map((group) => 'r'.repeat(group.columns.length));
  const titles = groups.map((group) => `\\multicolumn{${group.columns.length}}{c}{${escaped(group.title)}}`);
  const rules = groups.map((group, g) => {
    const first = groups.slice(0, g).reduce((sum, before) => sum + before.columns.length, labels.length + 1);
    return `\\cmidrule(lr){${first}-${first + group.columns.length - 1}}`;
  });
  const header = [...labels, ...groups.flatMap((group) => group.columns)];
  const line = (cells: readonly string[]) => `${cells.join(' & ')} \\\\`;
  const body = rows.map((row) =>
    line([...labels.map((_, i) => escaped(row.labels[i] ?? '')), ...row.cells.map(cellAsLatex)]),
  );
  return [
    '\\begin{table*}',
    '\\centering',
    `\\caption{${[`${title}.`, ...notes].map(escaped).join(' ')}}`,
    '\\resizebox{\\textwidth}{!}{%',
    `\\begin{tabular}{${'l'.repeat(labels.length)}${columns.join('')}}`,
    '\\toprule',
    line([...labels.map(() => ''), ...titles]),
    rules.join(''),
    line(header.map(escaped)),
    '\\midrule',
    ...body,
    '\\bottomrule',
    '\\end{tabular}}',
    '\\end{table*}',
  ].join('\n');
}

function cellAsLatex({ text, bold, suffix = '' }: Cell): string {
  return `${bold ? `\\textbf{${escaped(text)}}` : escaped(text)}${escaped(suffix)}`;
}

const special: Record<string, string> = {
  '\\': '\\textbackslash{}',
  '~': '\\textasciitilde{}',
  '^': '\\textasciicircum{}',
  '±': '$\\pm$',
  '<': '$<$',
  '>': '$>$',
};
const escaped = (text: string) =>
  text.replace(/[\\~^±<>&%$#_{}]/g, (character) => special[character] ?? `\\${character}`);
