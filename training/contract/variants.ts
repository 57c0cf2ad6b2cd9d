import { z } from 'zod';
import { seeded } from '../../common/random.ts';
import { dropItems } from '../../data/augment.ts';
import { type Batch, Batches } from '../../data/batches.ts';
import { planWindows, type WindowMode } from '../../data/windows.ts';
import {
  type Feeds,
  type HostTensor,
  Parameters,
  type Randomness,
  tensorOf,
  tf,
  withRandomness,
} from '../../engine/index.ts';
import type { ModelDefinition, Recommender } from '../../models/index.ts';
import { augmentedFeeds, feedsOf, trainingLoss } from '../objective.ts';
import { randomRows } from './rows.ts';

/** The catalogue that contracts are checked on. */
export const ITEMS = 13;
export const TEXT_DIMS = 5;

/** Settings that make a model small, where it has them. Two of each, so that none hides behind the other. */
const SMALL: Record<string, number> = {
  hiddenSize: 4,
  embeddingSize: 4,
  innerSize: 6,
  adaptorSize: 6,
  layers: 2,
  heads: 2,
  experts: 3,
};

/** One model with one choice of each of its settings that are a choice. */
export interface Variant {
  name: string;
  definition: ModelDefinition;
  settings: Record<string, unknown>;
}

/** A model, small, in every combination of the choices that its settings offer. */
export function variantsOf(definition: ModelDefinition): Variant[] {
  const { shape } = definition.config;
  let all: { words: string[]; settings: Record<string, unknown> }[] = [
    { words: [], settings: smallSettings(definition) },
  ];
  for (const [key, schema] of Object.entries(shape)) {
    const inner = schema instanceof z.ZodDefault ? schema.unwrap() : schema;
    if (!(inner instanceof z.ZodEnum)) continue;
    all = all.flatMap(({ words, settings }) =>
      inner.options.map((option) => ({
        words: [...words, String(option)],
        settings: { ...settings, [key]: option },
      })),
    );
  }
  return all.map(({ words, settings }) => ({
    name: [definition.name, ...words].join(' '),
    definition,
    settings,
  }));
}

/** Its own defaults, where it means something else by these names. */
function smallSettings({ config }: ModelDefinition): Record<string, number> {
  const small = Object.fromEntries(Object.entries(SMALL).filter(([key]) => key in config.shape));
  return config.safeParse(small).success ? small : {};
}

/** Text vectors for models that read some. */
export function textFor({ definition }: Variant): HostTensor | undefined {
  if (definition.input === 'id') return undefined;
  const random = seeded('text');
  const data = Float32Array.from({ length: ITEMS * TEXT_DIMS }, () => random.normal());
  return { dtype: 'float32', shape: [ITEMS, TEXT_DIMS], data };
}

export interface Built {
  model: Recommender;
  parameters: Parameters;
}

export function build(variant: Variant, { maxHistory = 12, seed = 1 } = {}): Built {
  const parameters = new Parameters({ seed });
  const model = variant.definition.build(variant.definition.config.parse(variant.settings), {
    itemCount: ITEMS,
    textDims: variant.definition.input === 'id' ? 0 : TEXT_DIMS,
    maxHistory,
    parameters,
  });
  return { model, parameters };
}

/** Moves every parameter off its initial value, so that zeros and ones hide nothing. */
export function stir({ parameters }: Built, size = 0.3): void {
  for (const { name, values } of parameters.all()) {
    const random = seeded('stir', name);
    for (let i = 0; i < values.length; i++) values[i] += size * random.normal();
  }
}

/** The model with dropout and noise off in training, too. */
export function still(model: Recommender): Recommender {
  const mode = { training: false };
  return {
    ...model,
    items: (items) => model.items(items, mode),
    sequence: (history) => model.sequence(history, mode),
    ...(model.loss && { loss: (batch) => model.loss!(batch, mode) }),
  };
}

/** An epoch's batches of random sequences. */
export function batchesOf(
  lengths: readonly number[],
  {
    mode,
    batchSize,
    maxHistory = 12,
    epoch = 1,
  }: { mode: WindowMode; batchSize: number; maxHistory?: number; epoch?: number },
): Batch[] {
  const { pool, rows } = randomRows(lengths, 1, ITEMS);
  const plan = new Batches(pool, planWindows(rows, maxHistory, mode), batchSize).epoch(1, epoch);
  return Array.from({ length: plan.count }, (_, i) => plan.batch(i));
}

/** What a training step is fed: the batch, and for a loss of the model's own the other view of it. */
export function stepFeeds(
  { loss, augmentation }: Recommender,
  batch: Batch,
  text: HostTensor | undefined,
  step: number,
): Feeds {
  const feeds = feedsOf(batch, text);
  if (!loss) return feeds;
  return {
    ...feeds,
    ...augmentedFeeds(batch, dropItems(batch, augmentation?.dropItems ?? 0, 1, step), undefined),
  };
}

export interface LossAndGradients {
  loss: number;
  gradients: Map<string, Float32Array>;
}

interface EagerStep extends LossAndGradients {
  /** Names of trainable parameters that the loss does not depend on. */
  unreached: string[];
}

/** Loss and gradients of one step by eager tfjs. */
export function eagerStep({ model, parameters }: Built, feeds: Feeds, at: Randomness): EagerStep {
  return eagerGradients(parameters, () => {
    const inputs = Object.fromEntries(Object.entries(feeds).map(([name, t]) => [name, tensorOf(t)]));
    return withRandomness(at, () => trainingLoss(model, ITEMS)(inputs));
  });
}

/** A scalar function of the parameters, differentiated by tfjs; zeros for parameters that it does not reach. */
export function eagerGradients(parameters: Parameters, loss: () => tf.Scalar): EagerStep {
  const trainable = parameters.trainable();
  const gradients = new Map<string, Float32Array>();
  const unreached: string[] = [];
  const value = tf.tidy(() => {
    const { value, grads } = tf.variableGrads(
      loss,
      trainable.map((p) => p.variable),
    );
    for (const { name, values, variable } of trainable) {
      const gradient = grads[variable.name]?.dataSync().slice() as Float32Array | undefined;
      gradients.set(name, gradient ?? new Float32Array(values.length));
      if (!gradient) unreached.push(name);
    }
    return value.dataSync()[0];
  });
  return { loss: value, gradients, unreached };
}

/** Largest difference of two gradients, relative to the largest element of the whole gradient. */
export function difference(
  a: Map<string, Float32Array>,
  b: Map<string, Float32Array>,
): { error: number; name: string } {
  let scale = 0;
  let worst = { error: 0, name: '' };
  for (const values of b.values()) for (const x of values) scale = Math.max(scale, Math.abs(x));
  for (const [name, values] of b) {
    const other = a.get(name)!;
    values.forEach((x, i) => {
      const error = Math.abs(x - other[i]) / scale;
      if (!(error <= worst.error)) worst = { error, name: `${name}[${i}]` };
    });
  }
  return worst;
}
