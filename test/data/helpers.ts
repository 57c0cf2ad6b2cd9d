import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { Progress, type ProgressEvent } from '../../common/progress.ts';
import type { Dataset, Rows } from '../../data/dataset.ts';
import { type DatasetSource, dataSettings, loadDataset } from '../../data/index.ts';
import { skipped } from '../skip.ts';

/** The folder of real data beside the project. */
export const realData = fileURLToPath(new URL('../../../shared/data/', import.meta.url));

/** The path of a real dataset, or undefined, said aloud, where it is not at hand. */
export function realFolder(name: string): string | undefined {
  const path = join(realData, name);
  if (existsSync(path)) return path;
  skipped(`../shared/data/${name} is not at hand`);
  return undefined;
}

/** Runs `use` in a new folder with a cache of its own, both removed afterwards. */
export async function inFolder(use: (folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'rec-data-'));
  const before = process.env.REC_CACHE;
  process.env.REC_CACHE = join(folder, 'cache');
  try {
    await use(folder);
  } finally {
    if (before === undefined) delete process.env.REC_CACHE;
    else process.env.REC_CACHE = before;
    await rm(folder, { recursive: true, force: true });
  }
}

/** Writes files (names ending in .gz are zipped) into a folder and returns it. */
export async function writeFiles(
  folder: string,
  files: Record<string, string | Uint8Array>,
): Promise<string> {
  for (const [name, content] of Object.entries(files)) {
    const path = join(folder, name);
    await mkdir(dirname(path), { recursive: true });
    const zip = name.endsWith('.gz') && typeof content === 'string';
    await writeFile(path, zip ? gzipSync(content) : content);
  }
  return folder;
}

/** Loads a folder or a source with settings; `events` gathers what the user would see. */
export function load(
  source: string | DatasetSource,
  settings: Record<string, unknown> = {},
  events: ProgressEvent[] = [],
  seed = 1,
): Promise<Dataset> {
  const resolved = typeof source === 'string' ? { name: 'test', path: source } : source;
  const progress = new Progress((event) => events.push(event));
  return loadDataset(resolved, dataSettings.parse(settings), { progress, seed });
}

/** Rows spelled out with the source's ids: 'a b > c'. */
export function spell(dataset: Dataset, { start, end, target }: Rows): string[] {
  const name = (item: number): string => dataset.itemIds[item];
  return Array.from(
    target,
    (t, i) => `${Array.from(dataset.pool.subarray(start[i], end[i]), name).join(' ')} > ${name(t)}`,
  );
}

/** The message of the error that a promise ends with. */
export async function failure(work: Promise<unknown>): Promise<string> {
  try {
    await work;
  } catch (error) {
    const { message, name } = error as Error;
    if (!['UserError', 'UsageError'].includes(name)) throw error;
    return message;
  }
  throw new Error('no error was thrown');
}
