import { UserError } from '../../common/errors.ts';
import type { Progress } from '../../common/progress.ts';
import type { BadRows } from '../table.ts';
import { forEachLine } from './lines.ts';

const types = ['token', 'token_seq', 'float', 'float_seq'] as const;

/** A column of a RecBole atomic file: its header reads `name:type`. */
export interface AtomicColumn {
  name: string;
  type: (typeof types)[number];
}

/**
 * Reads a RecBole atomic file: tab-separated, typed header. `open` sees the columns and gives back what is to be
 * called for every line of the right width; other lines are counted as bad.
 */
export async function readAtomic(
  path: string,
  progress: Progress,
  bad: BadRows,
  open: (columns: readonly AtomicColumn[]) => (cells: readonly string[], line: number) => void,
): Promise<void> {
  let columns: AtomicColumn[] | undefined;
  let use: ((cells: readonly string[], line: number) => void) | undefined;
  await forEachLine(path, progress, (line, number) => {
    if (!columns || !use) {
      columns = parseHeader(line, path);
      use = open(columns);
      return;
    }
    if (!line) return;
    const cells = line.split('\t');
    if (cells.length === columns.length) use(cells, number);
    else bad.add(path, `${cells.length} columns where the header has ${columns.length}`, number);
  });
  if (!use) throw new UserError(`${path}: the file is empty; a header such as 'user_id:token' was expected.`);
}

/** The columns that a header line names. */
export function parseHeader(line: string, path: string): AtomicColumn[] {
  return line.split('\t').map((cell) => {
    const colon = cell.lastIndexOf(':');
    const name = cell.slice(0, colon);
    const type = types.find((known) => known === cell.slice(colon + 1));
    if (colon < 1 || !type)
      throw new UserError(
        `${path}: line 1: column '${cell}' has no known type; a column reads name:type, with a type of [${types.join(', ')}].`,
      );
    return { name, type };
  });
}

/**
 * The number of the column of that name.
 * @throws UserError naming the file and the columns there are.
 */
export function requireAtomic(
  columns: readonly AtomicColumn[],
  name: string,
  type: AtomicColumn['type'],
  path: string,
): number {
  const index = columns.findIndex((column) => column.name === name);
  if (index >= 0 && columns[index].type === type) return index;
  const there = columns.map((column) => `${column.name}:${column.type}`).join(', ');
  throw new UserError(`${path}: line 1: no column '${name}:${type}'; the header has [${there}].`);
}
