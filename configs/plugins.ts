import { createHash } from 'node:crypto';
import { existsSync, statSync } from 'node:fs';
import { basename, extname, join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { BuildFailure, Plugin as Resolver } from 'esbuild';
import { z } from 'zod';
import { messageOf, UserError } from '../common/errors.ts';
import { cacheFolder, writeFileAtomic } from '../common/files.ts';
import { packageFolder, packageManifest } from '../common/package.ts';
import { rememberPlugin } from '../engine/plugin-code.ts';
import { type ConfigOptions, choices, userLayers } from './options.ts';
import { resolve as resolveLayers } from './resolve.ts';
import { type Layer, only } from './values.ts';

/** A plugin, loaded: what it defines is registered. */
export interface Plugin {
  /** The file's name without its ending. */
  name: string;
  /** The file and all that it imports, as one JavaScript module, but for what rec brings. */
  code: string;
  hash: string;
  /** Names of what it defines. */
  models: string[];
  encoders: string[];
  datasets: string[];
}

/**
 * Loads the plugins that the options name, by --plugin or as `run.plugin` of a configuration.
 * @param under settings below those of the options
 */
export function loadPluginsOf(options: ConfigOptions, under: readonly Layer[] = []): Promise<Plugin[]> {
  const schema = z.strictObject({ run: choices.partial() });
  const layers = [...under, ...userLayers(options, schema)].map((layer) => only(layer, ['run']));
  return loadPlugins(resolveLayers(schema, layers).config.run.plugin ?? []);
}

/**
 * Loads plugins, and registers the models, encoders and datasets that they export. A plugin is a TypeScript or JavaScript
 * module; its `import ... from 'rec'`, and imports of what rec is built on (zod, tfjs), find the running rec, wherever the
 * file lies.
 * @throws UserError for a file that is missing, does not compile, fails as it is loaded, or defines nothing
 */
export async function loadPlugins(paths: readonly string[]): Promise<Plugin[]> {
  const plugins: Plugin[] = [];
  for (const path of paths) plugins.push(await loadPlugin(path));
  return plugins;
}

async function loadPlugin(path: string): Promise<Plugin> {
  const file = resolve(path);
  if (!existsSync(file)) throw new UserError(`plugin ${path}: does not exist`);
  if (!statSync(file).isFile()) throw new UserError(`plugin ${path}: is not a file`);
  const code = await bundle(path, file, { place: (name) => name });
  const hash = createHash('sha256').update(code).digest('hex');
  const module = cacheFolder('plugins', `${hash.slice(0, 16)}.mjs`);
  await writeFileAtomic(module, await bundle(path, file, { place: placeOf, mappedFrom: module }));
  const exported = await import(pathToFileURL(module).href).catch((error: unknown) => {
    throw new UserError(`plugin ${path}: failed as it was loaded: ${messageOf(error)}`, { cause: error });
  });
  const defined = await register(exported, path);
  return { name: basename(file, extname(file)), code, hash, ...defined };
}

/** Imports of rec become those of the running one, whose registries and tensors the plugin shares. */
const placeOf = (name: string) =>
  name === 'rec' ? pathToFileURL(join(packageFolder, 'index.ts')).href : import.meta.resolve(name);

/**
 * One module of a file and its imports.
 * @param place where an import of rec, or of what rec is built on, leads to
 * @param mappedFrom the module's own path, where its stack traces are to name the lines of the plugin
 */
async function bundle(
  path: string,
  file: string,
  { place, mappedFrom }: { place(name: string): string; mappedFrom?: string },
): Promise<string> {
  const shared = ['rec', ...Object.keys(packageManifest().dependencies)];
  const resolver: Resolver = {
    name: 'rec',
    setup({ onResolve }) {
      onResolve({ filter: /^[^./]/ }, ({ path: name }) =>
        shared.includes(name) ? { path: place(name), external: true } : undefined,
      );
    },
  };
  const { build } = await import('esbuild');
  try {
    const { outputFiles } = await build({
      entryPoints: [file],
      bundle: true,
      write: false,
      sourcemap: mappedFrom ? 'inline' : false,
      sourcesContent: false,
      outfile: mappedFrom ?? 'plugin.mjs',
      format: 'esm',
      platform: 'node',
      target: 'es2022',
      // A file beside the plugin is found from where the plugin was.
      define: { 'import.meta.url': JSON.stringify(pathToFileURL(file).href) },
      plugins: [resolver],
      logLevel: 'silent',
    });
    return outputFiles[0].text;
  } catch (error) {
    const [{ text, location }] = (error as BuildFailure).errors ?? [
      { text: messageOf(error), location: null },
    ];
    const where = location ? `${location.file}:${location.line}:${location.column + 1}` : path;
    throw new UserError(`plugin ${where}: ${text}`);
  }
}

/** Registers all exported definitions, each by what it can do. */
async function register(exported: Record<string, unknown>, path: string) {
  const [{ models }, { encoders }, { addDataset }] = await Promise.all([
    import('../models/index.ts'),
    import('../encoders/index.ts'),
    import('../data/index.ts'),
  ]);
  const kinds = {
    models: { marks: ['build', 'fit'], add: models.add },
    encoders: { marks: ['open'], add: encoders.add },
    datasets: { marks: ['interactions'], add: addDataset },
  };
  const names: Record<keyof typeof kinds, string[]> = { models: [], encoders: [], datasets: [] };
  for (const value of new Set(Object.values(exported).flat())) {
    if (typeof value !== 'object' || value === null || !('name' in value)) continue;
    for (const [kind, { marks, add }] of Object.entries(kinds)) {
      if (!marks.some((mark) => mark in value)) continue;
      (add as (definition: unknown) => void)(value);
      rememberPlugin(value, path);
      names[kind as keyof typeof kinds].push(String(value.name));
    }
  }
  if (!Object.values(names).flat().length)
    throw new UserError(
      `plugin ${path}: exports no definition; export default defineModel({ ... }), or defineBaseline, defineEncoder, defineDataset`,
    );
  return names;
}
