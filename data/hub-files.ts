import { existsSync } from 'node:fs';
import { basename, join } from 'node:path';
import { UsageError } from '../common/errors.ts';
import { cachedFile, type HubNeed, type HubRepo, hubCache } from '../hub/index.ts';
import { type DatasetSource, resolveSource } from './sources.ts';

/** A file that a source names, and where it lies, if it does. */
export interface NamedFile {
  role: string;
  file: string;
  path?: string;
}

/** Looks for the files that a source names: under $REC_DATA, with and without .gz, then in the hub's cache. */
export async function locateFiles({ files = {}, hub }: DatasetSource): Promise<NamedFile[]> {
  const named: NamedFile[] = [];
  for (const [role, list] of Object.entries(files))
    for (const file of [list].flat()) {
      const path = findUnderRoot(file, hub) ?? (hub && (await cachedFile(repoOf(hub), file)));
      named.push({ role, file, ...(path && { path }) });
    }
  return named;
}

/** @throws UsageError for a source of queries and items to search, where interactions are wanted. */
export function refuseSearchTask({ name, files }: DatasetSource): void {
  if (files?.queries)
    throw new UsageError(`dataset '${name}' is a search task: \`rec search run --dataset ${name}\`.`);
}

/** What is to be downloaded before a dataset of interactions can be read; undefined where nothing is. */
export async function missingFiles(source: DatasetSource): Promise<HubNeed | undefined> {
  refuseSearchTask(source);
  return missingOf(source);
}

/** What is to be downloaded before a source can be read; undefined where nothing is. */
export async function missingOf(source: DatasetSource): Promise<HubNeed | undefined> {
  const missing = (await locateFiles(source)).filter(({ path }) => !path).map(({ file }) => file);
  return missing.length && source.hub ? needOf(source, source.hub, missing) : undefined;
}

/**
 * All files of a dataset, or others of its repository, for `rec data download`.
 * @param name of a dataset, or of any repository of datasets on the hub ('org/name')
 * @throws UsageError for a dataset that is not there.
 */
export function filesOnHub(name: string, others?: readonly string[]): HubNeed {
  const source = /^[\w-][\w.-]*\/[\w.-]+$/.test(name) ? { name, hub: name } : resolveSource(name);
  if (!source.hub) {
    const named = Object.values(source.files ?? {}).flat();
    const advice = named.length ? missingMessage(source, named) : 'There is nothing to download.';
    throw new UsageError(`dataset '${name}' is not on the hub. ${advice}`);
  }
  const files = others ?? Object.values(source.files ?? {}).flat();
  if (!files.length)
    throw new UsageError(`which files of ${name}? Name them with --file, '*' for any part of a name.`);
  return needOf(source, source.hub, files);
}

function needOf(source: DatasetSource, hub: string, files: readonly string[]): HubNeed {
  return { by: `dataset '${source.name}'`, repo: repoOf(hub), files, advice: missingMessage(source, files) };
}

const repoOf = (hub: string): HubRepo => ({ type: 'dataset', name: hub, revision: 'main' });

function findUnderRoot(file: string, hub = ''): string | undefined {
  const root = process.env.REC_DATA;
  if (!root) return undefined;
  const places = [join(root, file), join(root, basename(hub), file), join(root, basename(file))];
  return places.flatMap((place) => [place, `${place}.gz`]).find((place) => existsSync(place));
}

/** A message names so many files. */
const SHOWN_FILES = 8;

/** Says exactly which files to get, from where, and where to put them. */
export function missingMessage(source: DatasetSource, files: readonly string[]): string {
  const root = process.env.REC_DATA;
  const lines = files.slice(0, SHOWN_FILES).map((file) => {
    const from = source.hub ? `https://huggingface.co/datasets/${source.hub}/resolve/main/${file}` : file;
    return `  ${from}\n    -> ${join(root || '$REC_DATA', file)} (or with .gz)`;
  });
  if (files.length > lines.length) lines.push(`  ... and ${files.length - lines.length} more`);
  const [count, are] = files.length > 1 ? [`${files.length} files`, 'are'] : ['1 file', 'is'];
  const first = root ? '' : ' Set REC_DATA to the folder that shall hold them.';
  const fetch = source.hub
    ? `\n\`rec data download --dataset ${source.name}\` fetches them, where the hub can be reached, to ${hubCache()}; what Python has fetched there is found.`
    : '';
  return `dataset '${source.name}' needs ${count} that ${are} not there.${first}\n${lines.join('\n')}${fetch}`;
}
