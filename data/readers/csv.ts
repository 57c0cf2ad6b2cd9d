import { type CsvError, type Info, parse } from 'csv-parse';
import { nearest, UserError } from '../../common/errors.ts';
import type { Progress } from '../../common/progress.ts';
import type { BadRows } from '../table.ts';
import { type Position, readHead, readStream } from './lines.ts';

/** A row's cells by column number, and the line where it ends. */
export type UseRow = (cells: readonly string[], line: number) => void;

/**
 * Reads a CSV file (quotes and newlines inside quotes allowed). `open` sees the header and gives back what is to be
 * called for every row. Rows of the wrong width or with broken quotes are counted as bad.
 */
export async function readCsv(
  path: string,
  progress: Progress,
  bad: BadRows,
  open: (header: readonly string[]) => UseRow,
): Promise<number> {
  const at: Position = { line: 0 };
  let use: UseRow | undefined;
  let width = 0;
  let rows = 0;
  const skipped: { line: number; reason: string }[] = [];
  const parser = parse({
    bom: true,
    info: true,
    relax_column_count: true,
    skip_empty_lines: true,
    skip_records_with_error: true,
    on_skip: (error: CsvError | undefined) => {
      skipped.push({ line: Number(error?.lines), reason: `broken CSV quoting (${error?.code})` });
    },
  });
  /** The parser runs ahead of the rows: what it skipped is counted in the order of the file. */
  const countSkipped = (before: number): void => {
    while (skipped.length && skipped[0].line < before) {
      const { reason, line } = skipped.shift() as (typeof skipped)[number];
      rows++;
      bad.add(path, reason, line);
    }
  };
  const source = readStream(path, progress, at);
  source.on('error', (error) => parser.destroy(error));
  source.pipe(parser);
  try {
    for await (const { record, info } of parser as AsyncIterable<{ record: string[]; info: Info }>) {
      at.line = info.lines;
      countSkipped(info.lines);
      if (!use) {
        width = record.length;
        use = open(record);
        continue;
      }
      rows++;
      if (record.length === width) use(record, info.lines);
      else bad.add(path, `${record.length} columns where the header has ${width}`, info.lines);
    }
    countSkipped(Number.POSITIVE_INFINITY);
  } finally {
    source.destroy();
  }
  if (!use) throw new UserError(`${path}: the file is empty; a header line was expected.`);
  return rows;
}

/** The header of a CSV file; [] where the file is empty. */
export async function csvHeader(path: string): Promise<string[]> {
  const line = (await readHead(path, 1 << 16)).split(/\r?\n/, 1)[0];
  return line ? line.split(',').map((name) => name.replace(/^"|"$/g, '')) : [];
}

/**
 * The number of the first of `names` in a header.
 * @throws UserError naming the file, what was looked for and the nearest column there is.
 */
export function requireColumn(header: readonly string[], names: readonly string[], path: string): number {
  const index = findColumn(header, names);
  if (index >= 0) return index;
  const hint = nearest(names[0], header);
  throw new UserError(
    `${path}: line 1: no column '${names.join("' or '")}'${hint ? ` (did you mean '${hint}'?)` : ''}; the header has [${header.join(', ')}].`,
  );
}

/** The number of the first of `names` in a header, or -1. */
export function findColumn(header: readonly string[], names: readonly string[]): number {
  for (const name of names) {
    const index = header.indexOf(name);
    if (index >= 0) return index;
  }
  return -1;
}

/** A cell as a finite number, or NaN. Unlike Number(), an empty cell is no zero. */
export function numberOf(cell: unknown): number {
  if (typeof cell === 'number') return Number.isFinite(cell) ? cell : Number.NaN;
  if (typeof cell !== 'string' || !cell.trim()) return Number.NaN;
  const value = Number(cell);
  return Number.isFinite(value) ? value : Number.NaN;
}
