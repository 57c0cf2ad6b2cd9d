import { groupBy } from '../common/group.ts';
import type { Report } from './report.ts';
import { nameOf } from './runs.ts';
import { type Cell, type Table, tablesOf } from './tables.ts';

export interface TextOptions {
  /** Characters a line; datasets that do not fit beside the others go below. */
  width: number;
  /** How the best figures are marked, where something can be. */
  bold?(text: string): string;
}

/** A report for a terminal. */
export function reportAsText(report: Report, options: TextOptions): string {
  const parts = tablesOf(report).map((table) => tableAsText(table, options));
  const leftOut = report.leftOut.map((run) => `${nameOf(run)}: ${run.reason}`);
  if (leftOut.length) parts.push(['Left out:', ...leftOut].join('\n'));
  return parts.join('\n\n');
}

/** Cells below one another, all of the same width, under the title of their group. */
interface Column {
  title: string;
  lines: string[];
}

function tableAsText(table: Table, { width, bold = (text) => text }: TextOptions): string {
  const labels = table.labels.map((name, c) => ({
    title: '',
    lines: alignLeft([name, ...table.rows.map((row) => row.labels[c] ?? '')]),
  }));
  const titles = table.groups.flatMap(({ title, columns }) => columns.map((name) => ({ title, name })));
  let rest = titles.map(({ title, name }, c) => ({
    title,
    lines: alignRight(
      name,
      table.rows.map(({ cells }) => cells[c]),
      bold,
    ),
  }));
  const lines: string[] = [];
  while (rest.length) {
    const block = (end: number) => sideBySide([...labels, ...rest.slice(0, end)]);
    const ends = [...rest.keys()].map((i) => i + 1).filter((end) => visible(block(end)[1]) <= width);
    // Whole groups, or as many columns of one as fit.
    const whole = ends.filter((end) => rest[end]?.title !== rest[end - 1].title);
    const end = whole.at(-1) ?? ends.at(-1) ?? 1;
    const filled = (i: number) => i < 2 || rest.slice(0, end).some((column) => column.lines[i - 1].trim());
    lines.push('', ...block(end).flatMap((line, i) => (filled(i) ? [line.trimEnd()] : [])));
    rest = rest.slice(end);
  }
  return [table.title, ...lines, '', ...table.notes.flatMap((note) => wrap(note, width))].join('\n');
}

/** The titles of groups, and below each its columns' lines. */
function sideBySide(columns: readonly Column[]): string[] {
  const groups = groupBy(columns, ({ title }) => title).map((group) => {
    const [{ title }] = group;
    const lines = group[0].lines.map((_, i) => group.map((column) => column.lines[i]).join('  '));
    const missing = ' '.repeat(Math.max(0, title.length - visible(lines[0])));
    return [title.padEnd(visible(lines[0])), ...lines.map((line) => line + missing)];
  });
  return groups[0].map((_, i) => groups.map((lines) => lines[i]).join('   '));
}

function alignLeft(texts: string[]): string[] {
  const width = Math.max(...texts.map((text) => text.length));
  return texts.map((text) => text.padEnd(width));
}

/** Texts end below one another, and what follows them begins so. */
function alignRight(name: string, cells: readonly Cell[], bold: (text: string) => string): string[] {
  const suffix = Math.max(...cells.map((cell) => (cell.suffix ?? '').length));
  const text = Math.max(name.length - suffix, ...cells.map((cell) => cell.text.length));
  const rows = cells.map((cell) => {
    const padding = ' '.repeat(text - cell.text.length);
    return padding + (cell.bold ? bold(cell.text) : cell.text) + (cell.suffix ?? '').padEnd(suffix);
  });
  return [name.padStart(text).padEnd(text + suffix), ...rows];
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: that of colours, which take no place
const visible = (text: string) => text.replace(/\x1b\[\d+m/g, '').length;

function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  for (const word of text.split(' ')) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + 1 + word.length <= width)
      lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(word);
  }
  return lines;
}
