import { basename } from 'node:path';
import { z } from 'zod';
import { UsageError, unknownName } from '../common/errors.ts';
import { readYamlLayer } from '../configs/layers.ts';
import { resolve } from '../configs/resolve.ts';
import { isValues, type Layer, leavesOf, type Values } from '../configs/values.ts';

const settings = z.record(z.string(), z.unknown()).default({});

/** What a sweep file may say. `base`, `grid`, `zip` and `random.space` hold settings of runs, by nested or dotted key. */
const schema = z.strictObject({
  base: settings.describe('settings of every trial'),
  pretrain: z
    .record(z.string(), z.record(z.string(), z.unknown()))
    .default({})
    .describe("settings of `rec pretrain`, by a name that trials call their encoder: 'pretrained:NAME'"),
  grid: settings.describe('lists of values: every combination is tried'),
  zip: settings.describe(
    'lists of one length: their first values are tried together, then their second ones, ...',
  ),
  random: z
    .strictObject({
      trials: z.int().nonnegative().default(0).describe('points drawn from the space'),
      seed: z.int().nonnegative().default(1).describe('seed of the draws'),
      space: settings.describe('lists to choose from, or ranges {uniform | log | int: [least, most]}'),
    })
    .prefault({}),
  halving: z
    .strictObject({
      epochs: z
        .int()
        .nonnegative()
        .default(0)
        .describe('epochs of the first rung; 0: every trial goes to its end'),
      factor: z.int().min(2).default(3).describe('one in so many goes on, for so many times the epochs'),
    })
    .prefault({}),
});

/** A range to draw from: uniformly, uniformly in the logarithm, or among integers, both ends included. */
export interface Range {
  kind: 'uniform' | 'log' | 'int';
  least: number;
  most: number;
}

/** Dotted key of a setting -> its values. */
export type Axes = Map<string, unknown[]>;

/** A sweep file, read and checked as far as that goes without knowing the models. */
export interface SweepFile {
  /** Its name without folder and extension. */
  name: string;
  path: string;
  base: Layer;
  pretrain: Map<string, Values>;
  grid: Axes;
  zip: Axes;
  random: { trials: number; seed: number; space: Map<string, unknown[] | Range> };
  halving: { epochs: number; factor: number };
  /** Where an axis or a pretraining ('pretrain.NAME') was written: 'my-sweep.yaml:12'. */
  origin(key: string): string;
}

/** @throws UsageError that names the line, for whatever cannot be meant */
export function readSweepFile(path: string): SweepFile {
  const layer = readYamlLayer(path);
  // Checked first: the resolver would look for a key inside a section that is misspelt.
  for (const section of Object.keys(layer.values))
    if (!(section in schema.shape))
      throw unknownName('section', section, Object.keys(schema.shape), layer.origin(section));
  const { config } = resolve(schema, [layer]);
  const grid = lists('grid', config.grid, layer);
  const zip = lists('zip', config.zip, layer);
  const space = spaceOf(config.random.space, layer);
  refuseShared({ grid, zip, 'random.space': space }, layer);
  refuseRagged(zip, layer);
  if (config.random.trials === 0 && space.size)
    throw new UsageError(`random.space is given, but not random.trials, from ${layer.origin('random')}`);
  if (config.random.trials > 0 && !space.size)
    throw new UsageError(
      `random.trials is given, but not random.space, from ${layer.origin('random.trials')}`,
    );
  return {
    name: basename(path).replace(/\.ya?ml$/, ''),
    path,
    pretrain: new Map(Object.entries(config.pretrain)),
    base: { values: config.base, origin: (key) => layer.origin(`base.${key}`) },
    grid,
    zip,
    random: { ...config.random, space },
    halving: config.halving,
    origin: (key) => {
      if (key.startsWith('pretrain.')) return layer.origin(key);
      const section = grid.has(key) ? 'grid' : zip.has(key) ? 'zip' : 'random.space';
      return layer.origin(`${section}.${key}`);
    },
  };
}

function lists(section: string, values: Values, layer: Layer): Axes {
  return new Map([...leavesOf(values)].map(([key, value]) => [key, listAt(section, key, value, layer)]));
}

function listAt(section: string, key: string, value: unknown, layer: Layer): unknown[] {
  if (Array.isArray(value) && value.length) return value;
  const where = layer.origin(`${section}.${key}`);
  const given = Array.isArray(value) ? 'an empty list' : JSON.stringify(value);
  throw new UsageError(
    `${section}.${key} must be a list of values to try, got ${given}, from ${where}; a setting that every trial shares goes under base`,
  );
}

const range = z.union([
  z.strictObject({ uniform: z.tuple([z.number(), z.number()]) }),
  z.strictObject({ log: z.tuple([z.number().positive(), z.number().positive()]) }),
  z.strictObject({ int: z.tuple([z.int(), z.int()]) }),
]);
const kinds = ['uniform', 'log', 'int'] as const;

function spaceOf(values: Values, layer: Layer): Map<string, unknown[] | Range> {
  const isRange = (mapping: Values) => kinds.some((kind) => kind in mapping);
  const space = new Map<string, unknown[] | Range>();
  for (const [key, value] of leavesOf(values, isRange))
    space.set(key, isValues(value) ? rangeAt(key, value, layer) : listAt('random.space', key, value, layer));
  return space;
}

function rangeAt(key: string, value: Values, layer: Layer): Range {
  const parsed = range.safeParse(value);
  if (parsed.success) {
    const [[kind, [least, most]]] = Object.entries(parsed.data) as [Range['kind'], [number, number]][];
    if (least <= most) return { kind, least, most };
  }
  throw new UsageError(
    `random.space.${key} must be {uniform: [least, most]}, {log: [least, most]} with both above 0, or {int: [least, most]}, ` +
      `got ${JSON.stringify(value)}, from ${layer.origin(`random.space.${key}`)}`,
  );
}

function refuseShared(sections: Record<string, Map<string, unknown>>, layer: Layer): void {
  const seen = new Map<string, string>();
  for (const [section, axes] of Object.entries(sections)) {
    for (const key of axes.keys()) {
      const other = seen.get(key);
      if (other)
        throw new UsageError(
          `${key} is in both ${other} and ${section} (${layer.origin(`${section}.${key}`)})`,
        );
      seen.set(key, section);
    }
  }
}

function refuseRagged(zip: Axes, layer: Layer): void {
  const [first, ...others] = zip;
  for (const [key, values] of others) {
    if (values.length !== first[1].length)
      throw new UsageError(
        `zip.${key} has ${values.length} values, zip.${first[0]} has ${first[1].length}: they go side by side, from ${layer.origin(`zip.${key}`)}`,
      );
  }
}
