import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, dirname, isAbsolute, join, relative, resolve } from 'node:path';
import { stringify } from 'yaml';
import type { InferredOptionTypes } from 'yargs';
import { UsageError, UserError } from '../common/errors.ts';
import { cacheFolder, explainFileError, hashJson } from '../common/files.ts';
import { type OwnFiles, parseColumns } from '../data/own-columns.ts';
import { text } from './options.ts';

/** Options that describe files of the user's own. */
export const ownOptions = {
  reviews: text('a file of your own, of who took what when: CSV, TSV, JSON (Lines) or Parquet'),
  items: text('a file of your own with texts of items'),
  columns: text(
    'what its columns mean: user=A,item=B,time=C, and if there are any rating=D, and title, features, categories, description, or text=E+F',
  ),
  save: text('write the description of these files to this YAML file, a name for --dataset'),
} as const;

type Own = Partial<InferredOptionTypes<typeof ownOptions>> & { dataset?: string };

/** Writes the description of a user's own files as a YAML file, for `--dataset`; its path, or undefined without any. */
export function describeOwn({ reviews, items, columns, save, dataset }: Own): string | undefined {
  if (reviews === undefined) {
    const idle = Object.entries({ items, columns, save }).find(([, value]) => value !== undefined);
    if (idle) throw new UsageError(`--${idle[0]} describes files of your own: give --reviews too.`);
    return undefined;
  }
  if (dataset !== undefined) throw new UsageError('give either --dataset or --reviews, not both.');
  for (const file of [reviews, items])
    if (file !== undefined && !existsSync(file)) throw new UserError(`${file}: does not exist (ENOENT)`);
  const described = (place: (file: string) => string): OwnFiles => ({
    reviews: place(reviews),
    ...(items !== undefined && { items: place(items) }),
    columns: columns === undefined ? {} : parseColumns(columns),
  });
  const name = basename(reviews).replace(/\..*$/, '');
  const path = save ?? join(cacheFolder('own', hashJson(described(resolve)).slice(0, 12)), `${name}.yaml`);
  if (!/\.ya?ml$/.test(path)) throw new UsageError(`--save ${path}: the name must end in .yaml`);
  const own = described((file) => seenFrom(dirname(path), file));
  const content = stringify({ summary: `${basename(reviews)}, described on the command line`, own });
  if (existsSync(path) && readFileSync(path, 'utf8') !== content)
    throw new UsageError(`--save ${path}: there is another file of that name already.`);
  try {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, content);
  } catch (error) {
    throw explainFileError(error, path);
  }
  return path;
}

/** The path of a file in a folder, or below it, as from there: both may be moved together. Else the whole path. */
function seenFrom(folder: string, file: string): string {
  const path = relative(folder, file);
  return path.startsWith('..') || isAbsolute(path) ? resolve(file) : path;
}
