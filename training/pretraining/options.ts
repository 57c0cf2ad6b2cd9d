import { existsSync, readdirSync } from 'node:fs';
import { join, resolve as resolvePath } from 'node:path';
import { unknownName } from '../../common/errors.ts';
import { configsFolder } from '../../configs/catalogue.ts';
import { assignmentLayer, flagLayer, readYamlLayer } from '../../configs/layers.ts';
import { resolve } from '../../configs/resolve.ts';
import type { Layer } from '../../configs/values.ts';
import { configAsYaml } from '../../configs/write.ts';
import { type PretrainingSettings, pretrainingSettings } from './settings.ts';

/** What the command line of `rec pretrain` asks for. */
export interface PretrainingOptions {
  /** A name from configs/pretraining. */
  recipe?: string;
  pairs?: string;
  init?: string;
  config?: string;
  set: string[];
  seed?: string;
  device?: string;
  threads?: string;
  /** Folder that run folders are made in. */
  runs: string;
  /** The run folder itself, in place of one made in `runs`. */
  folder?: string;
  /** A run folder to go on with. */
  resume?: string;
}

export interface ResolvedPretraining {
  settings: PretrainingSettings;
  /** All settings as a YAML file that `--config` reads back, origins in comments. */
  yaml: string;
}

const recipes = join(configsFolder, 'pretraining');

/** Names of the recipes that come with the project. */
export function recipeNames(): string[] {
  return readdirSync(recipes)
    .filter((file) => file.endsWith('.yaml'))
    .map((file) => file.slice(0, -'.yaml'.length))
    .sort();
}

/** Decides every setting: schema default < recipe < --config < --set and the dedicated flags. */
export function resolvePretraining(options: PretrainingOptions): ResolvedPretraining {
  const schema = pretrainingSettings;
  const { recipe, config, pairs, init, seed, device, threads } = options;
  // Paths are written into the run as absolute ones: it is then resumed from any folder.
  const absolute = (path?: string) => path && (existsSync(path) ? resolvePath(path) : path);
  const layers = [
    ...recipeLayer(recipe),
    ...(config === undefined ? [] : [readYamlLayer(config)]),
    assignmentLayer(schema, options.set),
    flagLayer(schema, {
      pairs: ['--pairs', absolute(pairs)],
      init: ['--init', absolute(init)],
      seed: ['--seed', seed],
      device: ['--device', device],
      threads: ['--threads', threads],
    }),
  ];
  const missing = { pairs: 'which pairs? Give --pairs with a file of `rec data pairs`.' };
  const { config: settings, origins } = resolve(schema, layers, missing);
  return { settings, yaml: configAsYaml(schema, settings, origins) };
}

function recipeLayer(name: string | undefined): Layer[] {
  if (name === undefined) return [];
  if (!recipeNames().includes(name)) throw unknownName('recipe', name, recipeNames(), 'rec pretrain');
  return [readYamlLayer(join(recipes, `${name}.yaml`), `configs/pretraining/${name}.yaml`)];
}
