import { readdir } from 'node:fs/promises';
import { resolve } from 'node:path';
import { UserError } from '../common/errors.ts';
import { explainFileError } from '../common/files.ts';
import { append } from '../common/group.ts';
import type { Progress } from '../common/progress.ts';
import { writeDefined } from './defined.ts';
import { generators } from './generators.ts';
import { locateFiles, missingMessage, refuseSearchTask } from './hub-files.ts';
import { amazon, amazonSplit, detectAmazon, detectAmazonSplit } from './readers/amazon.ts';
import type { Layout } from './readers/layout.ts';
import { ownLayout } from './readers/own.ts';
import { detectRecbole } from './readers/recbole.ts';
import { detectRecboleSplit } from './readers/recbole-split.ts';
import type { DatasetSource } from './sources.ts';
import { splitNames } from './table.ts';

/** How to read a source: its folder, its named files, or what is generated. */
export async function layoutOf(source: DatasetSource, progress: Progress): Promise<Layout> {
  if (source.definition) return detectLayout(await writeDefined(source.definition, progress));
  if (source.generator) return generators(source.generator, source.parameters);
  if (source.own) return ownLayout(source.own);
  if (source.path) return detectLayout(resolve(source.path));
  if (source.files) return layoutOfFiles(source);
  throw new UserError(`dataset '${source.name}' names neither a path, nor files, nor a generator.`);
}

/** The layouts of a folder, in the order in which they are tried. */
const detectors = [detectRecboleSplit, detectRecbole, detectAmazonSplit, detectAmazon];

/**
 * Recognises the layout of a folder by its files.
 * @throws UserError naming the files found and the layouts there are.
 */
export async function detectLayout(path: string): Promise<Layout> {
  const entries = await readdir(path, { withFileTypes: true }).catch((error) => {
    throw explainFileError(error, path);
  });
  const files = entries
    .filter((entry) => !entry.isDirectory())
    .map((entry) => entry.name)
    .sort();
  for (const detect of detectors) {
    const layout = await detect({ path, files });
    if (layout) return layout;
  }
  const shown = files.length
    ? `${files.slice(0, 8).join(', ')}${files.length > 8 ? ', ...' : ''}`
    : 'nothing';
  throw new UserError(
    `${path}: no dataset was recognised (it holds ${shown}). A folder holds one of: X.train.inter, X.valid.inter and X.test.inter; X.inter (and X.item); X.train.csv, X.valid.csv and X.test.csv; a CSV file with the columns user_id, parent_asin, rating, timestamp; reviews as .jsonl or .json (each also .gz). Item metadata lie beside them as .jsonl, .json or .csv. Any other CSV, JSON or Parquet file is named by --reviews (and --items, --columns): see rec data prepare --help.`,
  );
}

/**
 * The layout of a source that names its files one by one.
 * @throws UserError that says exactly which files to get, from where, and where to put them.
 */
export async function layoutOfFiles(source: DatasetSource): Promise<Layout> {
  refuseSearchTask(source);
  const found = await findFiles(source);
  const metadata = found.get('metadata') ?? [];
  const interactions = found.get('interactions');
  if (interactions) return amazon(interactions, metadata);
  const paths = Object.fromEntries(splitNames.map((split) => [split, found.get(split)?.[0]]));
  if (splitNames.some((split) => !paths[split]))
    throw new UserError(
      `dataset '${source.name}': its files name neither 'interactions' nor all of train, valid, test.`,
    );
  return amazonSplit(paths as Record<(typeof splitNames)[number], string>, metadata);
}

/**
 * The paths of all files that a source names, by their roles.
 * @throws UserError that says exactly which files to get, from where, and where to put them.
 */
export async function findFiles(source: DatasetSource): Promise<Map<string, string[]>> {
  const named = await locateFiles(source);
  const missing = named.filter(({ path }) => !path).map(({ file }) => file);
  if (missing.length) throw new UserError(missingMessage(source, missing));
  const found = new Map<string, string[]>();
  for (const { role, path } of named) append(found, role, path as string);
  return found;
}
