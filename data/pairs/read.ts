import { nearest, UserError } from '../../common/errors.ts';
import type { Progress } from '../../common/progress.ts';
import { forEachLine } from '../readers/lines.ts';
import { type SplitName, splitNames } from '../table.ts';

/** A pretraining pair as a pairs file has it. */
export interface Pair {
  split: SplitName;
  /** Empty where the file does not say. */
  domain: string;
  item: string;
  review: string;
  metadata: string;
}

/**
 * Calls `use` for every pair of a tab-separated file whose header names at least `review` and `metadata` (or `meta`, as
 * the official script writes it). Without a column `split` all pairs are for training.
 * @returns how many lines were left out because one of their texts is empty
 * @throws UserError for a missing column or a line with another number of cells, naming the line
 */
export async function forEachPair(
  path: string,
  progress: Progress,
  use: (pair: Pair) => void,
): Promise<number> {
  let read: ((cells: string[], line: number) => Pair) | undefined;
  let width = 0;
  let empty = 0;
  await forEachLine(path, progress, (line, number) => {
    if (!line) return;
    const cells = line.split('\t');
    if (!read) {
      width = cells.length;
      read = readerOf(cells, path);
      return;
    }
    if (cells.length !== width)
      throw new UserError(`${path}:${number}: ${cells.length} cells, but the header has ${width}`);
    const pair = read(cells, number);
    if (pair.review.trim() && pair.metadata.trim()) use(pair);
    else empty++;
  });
  if (!read)
    throw new UserError(`${path}: the file is empty; a header line with review and metadata was expected`);
  return empty;
}

function readerOf(header: readonly string[], path: string): (cells: string[], line: number) => Pair {
  const find = (...names: string[]) => names.map((name) => header.indexOf(name)).find((at) => at >= 0) ?? -1;
  const require = (...names: string[]) => {
    const at = find(...names);
    if (at >= 0) return at;
    const hint = nearest(names[0], header);
    throw new UserError(
      `${path}:1: no column '${names.join("' or '")}'${hint ? ` (did you mean '${hint}'?)` : ''}; the header has [${header.join(', ')}], separated by tabs`,
    );
  };
  const [review, metadata] = [require('review'), require('metadata', 'meta')];
  const [split, domain, item] = [find('split'), find('domain'), find('item')];
  return (cells, line) => {
    const name = split < 0 ? 'train' : cells[split];
    if (!isSplit(name))
      throw new UserError(`${path}:${line}: split '${name}' must be one of ${splitNames.join(', ')}`);
    return {
      split: name,
      domain: cells[domain] ?? '',
      item: cells[item] ?? cells[metadata],
      review: cells[review],
      metadata: cells[metadata],
    };
  };
}

const isSplit = (name: string): name is SplitName => (splitNames as readonly string[]).includes(name);
