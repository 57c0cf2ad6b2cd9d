import { createHash, type Hash } from 'node:crypto';
import { mkdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { UserError } from '../common/errors.ts';
import { cacheFolder, explainFileError, temporaryPath, writeLines } from '../common/files.ts';
import type { Progress } from '../common/progress.ts';
import { blamePlugin } from '../engine/plugin-code.ts';
import { removeAbandoned, writePrepared } from './cache.ts';

/** One thing that a user did with an item. */
export interface Interaction {
  user: string;
  item: string;
  /** ms since 1970; any other rising number will do where the split is leave-last-out. */
  time: number;
}

/** A dataset of a plugin: code that yields what files hold elsewhere. */
export interface DatasetDefinition {
  name: string;
  summary: string;
  /** Settings by section (`data`, `train`, ...) that this dataset sets, unless the user does. */
  defaults?: Record<string, Record<string, unknown>>;
  /** In any order; of equal times the one yielded first comes first. */
  interactions(): Iterable<Interaction> | AsyncIterable<Interaction>;
  /** Texts of items; where there are some, items without one are dropped. Left out: the dataset has no texts. */
  items?(): Iterable<{ id: string; text: string }> | AsyncIterable<{ id: string; text: string }>;
}

/** Declares a dataset; the identity function, for the types. */
export function defineDataset(definition: DatasetDefinition): DatasetDefinition {
  return definition;
}

/**
 * Writes what a definition yields as RecBole's atomic files, which are then read like anyone's.
 * @returns the folder, in the cache; its name has the hash of what is in it
 * @throws UserError naming the first interaction or item that lacks something
 */
export async function writeDefined(definition: DatasetDefinition, progress: Progress): Promise<string> {
  const { name, items } = definition;
  const root = cacheFolder('plugin-datasets');
  const temporary = temporaryPath(join(root, name));
  const hash = createHash('sha256');
  try {
    await removeAbandoned(root);
    await mkdir(temporary, { recursive: true });
    const write = (file: string, header: string[], rows: AsyncIterable<string[]>) =>
      writeLines(join(temporary, file), () => linesOf(header, rows, hash, progress));
    const interactions = ['user_id:token', 'item_id:token', 'timestamp:float'];
    await write(`${name}.inter`, interactions, interactionRows(definition));
    if (items) await write(`${name}.item`, ['item_id:token', 'text:token_seq'], itemRows(definition));
    const folder = join(root, `${name}-${hash.digest('hex').slice(0, 12)}`, name);
    await writePrepared(folder, (place) => rename(temporary, place));
    return folder;
  } catch (error) {
    throw explainFileError(error, temporary);
  } finally {
    await rm(temporary, { recursive: true, force: true });
  }
}

async function* interactionRows(definition: DatasetDefinition): AsyncGenerator<string[]> {
  const { name } = definition;
  let count = 0;
  for await (const { user, item, time } of yielded(definition, 'interactions')) {
    count++;
    const where = `dataset '${name}': interaction ${count}`;
    if (!Number.isFinite(time)) throw new UserError(`${where}: time is ${time}, not a number`);
    yield [token(user, `${where}: user`), token(item, `${where}: item`), String(time)];
  }
}

async function* itemRows(definition: DatasetDefinition): AsyncGenerator<string[]> {
  const { name } = definition;
  let count = 0;
  for await (const { id, text } of yielded(definition, 'items')) {
    count++;
    const where = `dataset '${name}': item ${count}`;
    if (typeof text !== 'string') throw new UserError(`${where}: text is ${text}, not a text`);
    yield [token(id, `${where}: id`), text.replace(/[\t\r\n]+/g, ' ')];
  }
}

type Yielded<Part extends 'interactions' | 'items'> =
  ReturnType<NonNullable<DatasetDefinition[Part]>> extends Iterable<infer Row> | AsyncIterable<infer Row>
    ? Row
    : never;

/** What a plugin's code yields, one by one. @throws UserError that names the code, where it fails or yields no object */
async function* yielded<Part extends 'interactions' | 'items'>(
  definition: DatasetDefinition,
  part: Part,
): AsyncGenerator<Yielded<Part>> {
  const what = `dataset '${definition.name}': ${part}()`;
  let count = 0;
  try {
    for await (const row of definition[part]!()) {
      count++;
      if (typeof row !== 'object' || row === null)
        throw new UserError(`${what} yielded ${row} as number ${count}, not an object`);
      yield row as Yielded<Part>;
    }
  } catch (error) {
    throw blamePlugin(definition, what, error);
  }
}

/** An id as a cell of an atomic file. */
function token(id: unknown, what: string): string {
  const text = typeof id === 'number' ? String(id) : id;
  if (typeof text === 'string' && text.trim() && !/[\t\r\n]/.test(text)) return text;
  throw new UserError(`${what} is ${JSON.stringify(id)}; a text without tabs and line ends was expected`);
}

/** The lines of a table, which are hashed as they pass. */
async function* linesOf(
  header: string[],
  rows: AsyncIterable<string[]>,
  hash: Hash,
  progress: Progress,
): AsyncGenerator<string> {
  const line = (cells: string[]) => {
    const text = `${cells.join('\t')}\n`;
    hash.update(text);
    return text;
  };
  yield line(header);
  for await (const cells of rows) {
    progress.check();
    yield line(cells);
  }
}
