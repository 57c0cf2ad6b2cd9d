import type { Report } from './report.ts';
import { nameOf } from './runs.ts';
import { type Cell, type Table, tablesOf } from './tables.ts';

/** A report as GitHub's Markdown. */
export function reportAsMarkdown(report: Report): string {
  const parts = tablesOf(report).map(tableAsMarkdown);
  const leftOut = report.leftOut.map((run) => `- ${escaped(nameOf(run))}: ${escaped(run.reason)}`);
  if (leftOut.length) parts.push(['Left out:', '', ...leftOut].join('\n'));
  return `${parts.join('\n\n')}\n`;
}

function tableAsMarkdown({ title, labels, groups, rows, notes }: Table): string {
  const header = groups.flatMap(({ title, columns }) => columns.map((column) => `${title} ${column}`));
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  return [
    `### ${escaped(title)}`,
    '',
    line([...labels, ...header].map(escaped)),
    line([...labels.map(() => '---'), ...header.map(() => '--:')]),
    ...rows.map((row) =>
      line([...labels.map((_, i) => escaped(row.labels[i] ?? '')), ...row.cells.map(cellAsMarkdown)]),
    ),
    '',
    ...notes.map(escaped),
  ].join('\n');
}

function cellAsMarkdown({ text, bold, suffix = '' }: Cell): string {
  return `${bold ? `**${escaped(text)}**` : escaped(text)}${escaped(suffix)}`;
}

const escaped = (text: string) => text.replace(/[\\`*_[\]<>|]/g, '\\$&');
