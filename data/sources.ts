import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { homedir } from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';
import { z } from 'zod';
import { messageOf, UsageError, UserError, unknownName } from '../common/errors.ts';
import type { DatasetDefinition } from './defined.ts';
import { type OwnFiles, ownFiles } from './own-columns.ts';

/** Files of a source named one by one; relative to `root`, looked for with and without .gz. */
const sourceFiles = z.strictObject({
  interactions: z.string().optional(),
  train: z.string().optional(),
  valid: z.string().optional(),
  test: z.string().optional(),
  metadata: z.string().optional(),
  /** Of a search task: its queries, and the items that are searched. */
  queries: z.string().optional(),
  pool: z.string().optional(),
});

type Files = z.output<typeof sourceFiles>;

/** Where a dataset comes from: a folder, files that are to be fetched, or a generator. */
export interface DatasetSource {
  name: string;
  summary?: string;
  /** A folder in one of the layouts. */
  path?: string;
  /** Named files, and where they are to be had. Several files of one kind are read one after the other. */
  files?: { [role in keyof Files]?: string | readonly string[] };
  /** The Hugging Face dataset repository that has `files`. */
  hub?: string;
  /** Files of the user's own, and what their columns mean. */
  own?: OwnFiles;
  /** Makes the data: 'demo'. */
  generator?: string;
  /** Yields the data: a plugin's. */
  definition?: DatasetDefinition;
  parameters?: Record<string, unknown>;
  /** Settings by section (`data`, `train`, ...) that this dataset sets, unless the user does. */
  defaults?: Record<string, Record<string, unknown>>;
}

const dataset = z.strictObject({
  summary: z.string().optional(),
  aliases: z.array(z.string()).default([]),
  path: z.string().optional(),
  files: sourceFiles.optional(),
  hub: z.string().optional(),
  own: ownFiles.optional(),
  generator: z.string().optional(),
  parameters: z.record(z.string(), z.unknown()).optional(),
  defaults: z.record(z.string(), z.record(z.string(), z.unknown())).optional(),
  /** Stands for {domain} in the names of files and in the summary; by default the dataset's own name. */
  domain: z.string().optional(),
  /** Other files of the same dataset, for `name:variant`; files that a variant does not name stay. */
  variants: z.record(z.string(), sourceFiles).optional(),
});

/** A file of configs/datasets: one dataset named as the file, or a table of datasets with what they share. */
const datasetFile = dataset.extend({
  datasets: z.record(z.string(), dataset).optional(),
  /** A dataset of all the table's domains. */
  together: z.strictObject({ name: z.string(), summary: z.string() }).optional(),
});

interface Entry {
  names: string[];
  source: DatasetSource;
  /** By name, the source with other files. */
  variants: Record<string, DatasetSource>;
}

const defined = new Map<string, Entry>();

/**
 * Adds a plugin's dataset, in place of an earlier one of that name.
 * @throws UsageError where the name is that of one in configs/datasets
 */
export function addDataset(definition: DatasetDefinition): void {
  const { name, summary, defaults } = definition;
  if (describedEntries().some(({ names }) => names.includes(name)))
    throw new UsageError(`dataset '${name}' comes with the project; give the plugin's a name of its own`);
  defined.set(name, { names: [name], source: { name, summary, defaults, definition }, variants: {} });
}

const folder = fileURLToPath(new URL('../configs/datasets', import.meta.url));

/**
 * The source that a name in configs/datasets, an alias, or a path to a folder stands for.
 * @throws UsageError for an unknown name, UserError for a path that does not exist or is no folder.
 */
export function resolveSource(nameOrPath: string): DatasetSource {
  const entries = readEntries();
  const [, name = nameOrPath, variant] = /^([\w-]+):([\w-]+)$/.exec(nameOrPath) ?? [];
  const known = entries.find(({ names }) => names.includes(name));
  if (known) return variant === undefined ? known.source : variantOf(known, variant);
  const path = resolve(nameOrPath.replace(/^~(?=\/|$)/, homedir()));
  if (existsSync(path)) {
    if (/\.ya?ml$/.test(path)) return describedSource(path);
    if (!statSync(path).isDirectory())
      throw new UserError(
        `${nameOrPath}: is a file; --dataset takes a name or the folder that the file lies in. For files of any columns: rec data prepare --reviews ${nameOrPath} --columns user=...,item=...,time=...`,
      );
    const hasVectors = readdirSync(path).some((file) => file.endsWith('.feature'));
    return { name: basename(path), path, ...(hasVectors && { defaults: { run: { encoder: 'file' } } }) };
  }
  if (/[\\/]|^[.~]/.test(nameOrPath))
    throw new UserError(`${nameOrPath}: no such folder (looked at ${path}).`);
  throw unknownName(
    'dataset',
    nameOrPath,
    entries.flatMap(({ names }) => names),
  );
}

function variantOf({ source, variants }: Entry, variant: string): DatasetSource {
  if (variants[variant]) return variants[variant];
  throw unknownName(`variant of dataset '${source.name}'`, variant, Object.keys(variants));
}

/** The dataset that a YAML file of the user's own describes; paths in it begin at its folder. */
function describedSource(path: string): DatasetSource {
  const [{ source }] = entriesOf(path);
  const from = (file: string | undefined) => file && resolve(dirname(path), file);
  const { own } = source;
  return {
    ...source,
    path: from(source.path),
    ...(own && { own: { ...own, reviews: resolve(dirname(path), own.reviews), items: from(own.items) } }),
  };
}

/** Every dataset of configs/datasets, for `rec datasets`. */
export function listDatasets(): {
  name: string;
  aliases: string[];
  variants: string[];
  summary: string;
  synthetic: boolean;
}[] {
  return readEntries().map(({ names, source, variants }) => ({
    name: source.name,
    aliases: names.slice(1),
    variants: Object.keys(variants).map((variant) => `${source.name}:${variant}`),
    summary: source.summary ?? '',
    synthetic: source.generator !== undefined,
  }));
}

const readEntries = (): Entry[] => [...describedEntries(), ...defined.values()];

function describedEntries(): Entry[] {
  return readdirSync(folder)
    .filter((file) => /\.ya?ml$/.test(file))
    .sort()
    .flatMap((file) => entriesOf(join(folder, file)));
}

function entriesOf(path: string): Entry[] {
  let content: z.output<typeof datasetFile>;
  try {
    content = datasetFile.parse(parse(readFileSync(path, 'utf8')));
  } catch (error) {
    const reason = error instanceof z.ZodError ? z.prettifyError(error) : messageOf(error);
    throw new UserError(`${path}: not a description of datasets: ${reason}`);
  }
  const { datasets, together, ...shared } = content;
  if (!datasets) return [entry(basename(path).replace(/\.ya?ml$/, ''), shared)];
  const entries = Object.entries(datasets).map(([name, own]) => entry(name, { ...shared, ...own }));
  if (together) {
    const all = { ...together, hub: shared.hub, defaults: shared.defaults };
    const variants = Object.keys(shared.variants ?? {}).map((variant) => [
      variant,
      { ...all, name: `${all.name}:${variant}`, files: joined(entries.map((e) => e.variants[variant])) },
    ]);
    entries.push({
      names: [together.name],
      source: { ...all, files: joined(entries.map(({ source }) => source)) },
      variants: Object.fromEntries(variants),
    });
  }
  return entries;
}

function entry(name: string, content: z.output<typeof dataset>): Entry {
  const { aliases, domain = name, files, summary, variants = {}, ...rest } = content;
  const named = (given: Files): Files =>
    Object.fromEntries(
      Object.entries(given).map(([role, file]) => [role, file?.replaceAll('{domain}', domain)]),
    );
  const source = {
    name,
    summary: summary?.replaceAll('{domain}', domain),
    ...rest,
    files: files && named(files),
  };
  const others = Object.entries(variants).map(([variant, own]) => [
    variant,
    { ...source, name: `${name}:${variant}`, files: named({ ...files, ...own }) },
  ]);
  return { names: [name, ...aliases], source, variants: Object.fromEntries(others) };
}

/** The files of several sources, role by role. */
function joined(sources: readonly DatasetSource[]): DatasetSource['files'] {
  const files: Record<string, string[]> = {};
  for (const source of sources)
    for (const [role, file] of Object.entries(source.files ?? {})) {
      files[role] ??= [];
      files[role].push(...[file].flat());
    }
  return files;
}
