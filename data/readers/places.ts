import type { Progress } from '../../common/progress.ts';
import { forEachLine } from './lines.ts';
import type { LineFormat } from './source.ts';

/** Where rows are in a file, for messages. */
export interface Places {
  /** Number of a good row (from 1) -> its line. */
  row: Map<number, number>;
  /** Number of a record (from 1, the header and empty lines included) -> its line. */
  record: Map<number, number>;
}

/**
 * Finds the lines of rows that DuckDB knows by number only, in one pass over the file.
 * @param rows numbers of rows that DuckDB gave, from 1
 * @param rejected numbers of all records that it did not give, ascending
 */
export async function findLines(
  path: string,
  format: Exclude<LineFormat, 'rows'>,
  rows: Iterable<number>,
  rejected: Int32Array,
  progress: Progress,
): Promise<Places> {
  const wanted = new Set(rows);
  const header = format === 'lines' ? 0 : 1;
  const blank = format === 'lines' ? /^[ \t\r]*$/ : /^$/;
  const places: Places = { row: new Map(), record: new Map() };
  let record = 0;
  let row = 0;
  let left = 0;
  let open = false;
  await forEachLine(path, progress, (line, number) => {
    const continued = open;
    if (format === 'csv') open = endsInQuotes(line, open);
    if (continued) return;
    record++;
    if (rejected[left] === record) {
      left++;
      places.record.set(record, number);
    } else if (record > header && !blank.test(line) && wanted.has(++row)) places.row.set(row, number);
  });
  return places;
}

/** Whether a line of CSV ends inside a quoted cell, and the record goes on in the next line. */
function endsInQuotes(line: string, open: boolean): boolean {
  let inside = open;
  for (let i = 0; i < line.length; i++) {
    if (line[i] !== '"') continue;
    if (!inside) inside = i === 0 || line[i - 1] === ',';
    else if (line[i + 1] === '"') i++;
    else inside = false;
  }
  return inside;
}
