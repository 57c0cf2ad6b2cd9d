import { existsSync, readdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { UsageError, unknownName } from '../common/errors.ts';
import { resolveSource } from '../data/sources.ts';
import { readYamlLayer } from './layers.ts';
import type { ConfigOptions } from './options.ts';
import { loadPluginsOf } from './plugins.ts';
import { resolve } from './resolve.ts';
import { type Layer, only, without } from './values.ts';

/** What the resolver needs of a model. */
export interface ModelEntry {
  name: string;
  summary: string;
  input: 'id' | 'text' | 'both';
  config: z.ZodObject;
}

/** What the resolver needs of a family of encoders. */
export interface EncoderEntry {
  name: string;
  summary: string;
  config: z.ZodObject;
}

/** Things that can be chosen by name. */
export interface Registry<T> {
  names(): string[];
  get(name: string): T;
}

/** All that can be chosen for a run. */
export interface Catalogue<M extends ModelEntry = ModelEntry, E extends EncoderEntry = EncoderEntry> {
  models: Registry<M>;
  /** Families of encoders; configs/encoders names members of them. */
  encoders: Registry<E>;
  /** The folder that holds models/, datasets/ and encoders/ of YAML files. */
  folder: string;
  /** Hashes of the plugins that some of it comes from; undefined where nobody asks. */
  plugins?: readonly string[];
}

/** The folder of the YAML files that come with the project. */
export const configsFolder: string = fileURLToPath(new URL('.', import.meta.url));

/** What comes with the project, and what plugins that the options name add. Imports the models, and with them tfjs. */
export async function projectCatalogue(options: ConfigOptions = { set: [] }, under: readonly Layer[] = []) {
  const plugins = (await loadPluginsOf(options, under)).map(({ hash }) => hash);
  const [{ models }, { encoders }] = await Promise.all([
    import('../models/index.ts'),
    import('../encoders/index.ts'),
  ]);
  return { models, encoders, folder: configsFolder, plugins };
}

/** A choice, and the settings that come with it. */
export interface Chosen<T> {
  entry: T;
  /** As results show it: 'unisrec', 'lsa', 'file:games.feature'. */
  name: string;
  defaults: Layer[];
}

/** A model and the settings of configs/models/<name>.yaml. */
export function chooseModel<M extends ModelEntry>(
  catalogue: Catalogue<M>,
  name: string,
  origin: string,
): Chosen<M> {
  const names = catalogue.models.names();
  if (!names.includes(name)) throw unknownName('model', name, names, origin);
  return { entry: catalogue.models.get(name), name, defaults: yamlOf(catalogue, 'models', name) };
}

/** The settings that configs/datasets gives for a dataset; a folder has none. */
export function datasetDefaults(nameOrPath: string): Layer {
  const { name, defaults = {} } = resolveSource(nameOrPath);
  return { values: defaults, origin: () => `configs/datasets (${name})` };
}

const encoderFile = z.strictObject({
  family: z.string(),
  summary: z.string(),
  argument: z.string().optional(),
});

/** An encoder as it can be chosen: a family by its own name, or a member of one that configs/encoders describes. */
export interface EncoderName extends z.output<typeof encoderFile> {
  name: string;
}

/** Every encoder that can be chosen. */
export function listEncoders(catalogue: Catalogue): EncoderName[] {
  const described = yamlNames(catalogue, 'encoders').map((name) => describeEncoder(catalogue, name));
  const known = new Set(described.map(({ name }) => name));
  const families = catalogue.encoders.names().filter((name) => !known.has(name));
  return [...described, ...families.map((name) => describeEncoder(catalogue, name))];
}

function describeEncoder(catalogue: Catalogue, name: string): EncoderName {
  const [layer] = yamlOf(catalogue, 'encoders', name);
  if (!layer) return { name, family: name, summary: catalogue.encoders.get(name).summary };
  return { name, ...resolve(encoderFile, [only(layer, Object.keys(encoderFile.shape))]).config };
}

/**
 * An encoder's family, with the settings of configs/encoders/<name>.yaml and of the text after 'name:', which sets
 * the key that the file calls `argument`.
 */
export function chooseEncoder<E extends EncoderEntry>(
  catalogue: Catalogue<ModelEntry, E>,
  text: string,
  origin: string,
): Chosen<E> {
  const [name] = text.split(':', 1);
  const names = listEncoders(catalogue).map((encoder) => encoder.name);
  if (!names.includes(name)) throw unknownName('encoder', name, names, origin);
  const { family, argument } = describeEncoder(catalogue, name);
  const defaults = yamlOf(catalogue, 'encoders', name).map((layer) =>
    without(layer, Object.keys(encoderFile.shape)),
  );
  const value = text.slice(name.length + 1);
  if (value) {
    if (!argument)
      throw new UsageError(`encoder '${name}' takes nothing after ':'; got '${text}', from ${origin}.`);
    defaults.push({ values: { encoder: { [argument]: value } }, origin: () => origin });
  }
  const shown = value ? `${name}:${basename(value)}` : name;
  return { entry: catalogue.encoders.get(family), name: shown, defaults };
}

type Kind = 'models' | 'encoders';

function yamlNames({ folder }: Catalogue, kind: Kind): string[] {
  const path = join(folder, kind);
  const files = existsSync(path) ? readdirSync(path) : [];
  return files
    .filter((file) => file.endsWith('.yaml'))
    .map((file) => file.slice(0, -'.yaml'.length))
    .sort();
}

function yamlOf(catalogue: Catalogue, kind: Kind, name: string): Layer[] {
  if (!yamlNames(catalogue, kind).includes(name)) return [];
  return [readYamlLayer(join(catalogue.folder, kind, `${name}.yaml`), `configs/${kind}/${name}.yaml`)];
}
