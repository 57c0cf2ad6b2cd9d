import { messageOf, UsageError } from '../common/errors.ts';
import { hashJson } from '../common/files.ts';
import { seeded } from '../common/random.ts';
import type { Catalogue } from '../configs/catalogue.ts';
import type { ConfigOptions } from '../configs/options.ts';
import { type ResolvedRun, resolveRun } from '../configs/run.ts';
import { assign, empty, type Layer, leavesOf } from '../configs/values.ts';
import { runName } from '../training/run-folder.ts';
import type { Range, SweepFile } from './file.ts';
import { dereference, type Pretrainings, planPretrainings } from './pretraining.ts';

/** One run of a sweep. */
export interface Trial {
  /** Hash of its whole configuration but what computes: the same trial in every execution of the sweep. */
  id: string;
  /** Name of its run folder in the sweep's. */
  run: string;
  /** What the sweep's axes give it, by dotted key. */
  settings: Record<string, unknown>;
  /** What `rec` is told to do: 'run', or to 'pretrain' an encoder for other trials. */
  command: string[];
  /** All that is not a default, as assignments for --set. */
  set: string[];
  /** Trials that must have been done before. */
  after: string[];
  dataset: string;
  /** Validation metric that trials are compared by. */
  metric: string;
  /** Most epochs. */
  epochs: number;
  /** Hash of all but the seed: trials that differ in it only are judged together. */
  candidate: string;
  /** Hash of what decides its dataset and text vectors: trials that share it share what the first one prepares. */
  inputs: string;
}

/** All trials of a sweep, in a fixed order. */
export interface Plan {
  name: string;
  file: string;
  trials: Trial[];
  halving: SweepFile['halving'];
}

/**
 * The trials that a sweep file describes, with the command line's settings over every one of them.
 * @param folder where run folders are to go
 * @throws UsageError where a trial's configuration cannot be meant, naming the line
 */
export function planSweep(
  file: SweepFile,
  folder: string,
  options: ConfigOptions,
  catalogue: Catalogue,
): Plan {
  const pretrainings = planPretrainings(file, folder);
  const trials = new Map([...pretrainings.values()].map((trial) => [trial.id, trial]));
  for (const settings of pointsOf(file)) {
    const trial = resolveTrial(file, { settings, options, catalogue, pretrainings, folder });
    // Axes that a trial's model takes no notice of (an encoder, for ids) leave equal trials: one is run.
    if (!trials.has(trial.id)) trials.set(trial.id, trial);
  }
  return { name: file.name, file: file.path, trials: [...trials.values()], halving: file.halving };
}

type Settings = Record<string, unknown>;

/** grid x zip x random, the later ones varying faster; null leaves a key as it is. */
function pointsOf({ grid, zip, random }: SweepFile): Settings[] {
  const axes: Settings[][] = [...grid].map(([key, values]) => values.map((value) => ({ [key]: value })));
  const [first] = zip.values();
  if (first)
    axes.push(first.map((_, i) => Object.fromEntries([...zip].map(([key, values]) => [key, values[i]]))));
  if (random.trials) axes.push(Array.from({ length: random.trials }, (_, i) => drawPoint(random, i)));
  const points = axes.reduce<Settings[]>(
    (all, axis) => all.flatMap((point) => axis.map((value) => ({ ...point, ...value }))),
    [{}],
  );
  return points.map((point) =>
    Object.fromEntries(Object.entries(point).filter(([, value]) => value !== null)),
  );
}

/** The i-th point: it does not depend on how many are drawn. */
function drawPoint({ seed, space }: SweepFile['random'], i: number): Settings {
  return Object.fromEntries(
    [...space].map(([key, axis]) => {
      const random = seeded(seed, 'sweep', key, i);
      return [key, Array.isArray(axis) ? axis[random.below(axis.length)] : drawFrom(axis, random.uniform())];
    }),
  );
}

/** The value of a range at u in [0, 1); real ones to four digits, to be read and typed. */
function drawFrom({ kind, least, most }: Range, u: number): number {
  if (kind === 'int') return least + Math.floor(u * (most - least + 1));
  const value = kind === 'log' ? least * (most / least) ** u : least + u * (most - least);
  return Number(value.toPrecision(4));
}

interface Point {
  settings: Settings;
  options: ConfigOptions;
  catalogue: Catalogue;
  pretrainings: Pretrainings;
  folder: string;
}

function resolveTrial(file: SweepFile, point: Point): Trial {
  const { settings } = point;
  const { run, after } = resolveSettings(file, point);
  for (const key of Object.keys(settings)) {
    const origin = run.origins[key];
    if (origin.startsWith('--'))
      throw new UsageError(`${key} is an axis of the sweep (${file.origin(key)}): leave out ${origin}`);
  }
  const { threads: _t, device: _d, spinning: _s, ...deciding } = run.config;
  const { seed, ...candidate } = deciding;
  const words = [run.dataset, run.model.entry.name, ...(run.encoder ? [run.encoder.name] : [])];
  // A plugin that has changed makes its trials others: what the old one came to is not taken for theirs.
  const { plugins = [] } = point.catalogue;
  const id = hashJson(plugins.length ? { ...deciding, plugins } : deciding).slice(0, 8);
  return {
    id,
    run: runName(words, id),
    settings,
    command: ['run'],
    set: assignmentsOf(run),
    after,
    dataset: run.dataset,
    metric: run.train.metric,
    epochs: run.train.epochs,
    candidate: hashJson(candidate),
    inputs: hashJson([run.dataset, run.data, seed, run.encoder?.name, run.encoder?.settings]),
  };
}

function resolveSettings(
  { base, origin }: SweepFile,
  { settings, options, catalogue, pretrainings, folder }: Point,
): { run: ResolvedRun; after: string[] } {
  const axes: Layer = { values: empty(), origin };
  for (const [key, value] of Object.entries(settings)) assign(axes.values, key.split('.'), value);
  let after: string[] = [];
  const layers = [base, axes].map((layer) => {
    const encoder = (layer.values.run as Settings | undefined)?.encoder;
    const found = dereference(encoder, pretrainings, folder, layer.origin('run.encoder'));
    if (!found.after.length) return layer;
    after = found.after;
    const run = { ...(layer.values.run as Settings), encoder: `roberta:${found.value}` };
    return { ...layer, values: { ...layer.values, run } };
  });
  try {
    const run = resolveRun(options, catalogue, layers);
    return { run, after: run.encoder ? after : [] };
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    throw new UsageError(`${messageOf(error)} (in the trial ${settingsAsText(settings)})`, { cause: error });
  }
}

/** 'run.model=sasrec seed=1'. */
export function settingsAsText(settings: Settings): string {
  return (
    Object.entries(settings)
      .map(([key, value]) => `${key}=${typeof value === 'string' ? value : JSON.stringify(value)}`)
      .join(' ') || 'without axes'
  );
}

/** What neither the schemas nor configs/ decided. */
function assignmentsOf({ config, origins }: ResolvedRun): string[] {
  const decided = /^(default$|configs\/(models|encoders|datasets)\b)/;
  return [...leavesOf(config)]
    .filter(([key]) => key in origins && !decided.test(origins[key]))
    .map(([key, value]) => `${key}=${JSON.stringify(value)}`);
}
