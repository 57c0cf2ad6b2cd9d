import { Registry } from '../common/registry.ts';
import type { BaselineDefinition, Definition, ModelDefinition } from './contract.ts';
import gru4rec from './gru4rec.ts';
import itemTransition from './item-transition.ts';
import popularity from './popularity.ts';
import sasrec from './sasrec.ts';
import sasrecText from './sasrec-text.ts';
import unisrec from './unisrec.ts';

/** Every model. A new one is a file beside these, and a line here. */
const registry = new Registry<Definition>('model', [
  gru4rec,
  sasrec,
  sasrecText,
  unisrec,
  popularity,
  itemTransition,
] as unknown as Definition[]);

export const models = {
  ...registry,
  /** Those that gradients train. */
  trained: (): ModelDefinition[] => registry.all().filter((m) => m.kind === 'trained'),
  /** The yardsticks that every result shows beside its model. */
  baselines: (): BaselineDefinition[] => registry.all().filter((m) => m.kind === 'baseline'),
};

export type {
  BaselineDefinition,
  BuildContext,
  CountedRecommender,
  Definition,
  History,
  Items,
  LossBatch,
  Mode,
  ModelDefinition,
  Recommender,
  TrainingRows,
} from './contract.ts';
export { defineBaseline, defineModel } from './contract.ts';
