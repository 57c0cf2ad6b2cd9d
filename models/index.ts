import { unknownName } from '../common/errors.ts';
import type { BaselineDefinition, Definition, ModelDefinition } from './contract.ts';
import gru4rec from './gru4rec.ts';
import itemTransition from './item-transition.ts';
import popularity from './popularity.ts';
import sasrec from './sasrec.ts';
import sasrecText from './sasrec-text.ts';
import unisrec from './unisrec.ts';

/** Every registered model. A new one is a file beside these, and a line here. */
const registered = [
  gru4rec,
  sasrec,
  sasrecText,
  unisrec,
  popularity,
  itemTransition,
] as unknown as Definition[];

export const models = {
  all: (): readonly Definition[] => registered,
  /** Those that gradients train. */
  trained: (): ModelDefinition[] => registered.filter((m) => m.kind === 'trained'),
  /** The yardsticks that every result shows beside its model. */
  baselines: (): BaselineDefinition[] => registered.filter((m) => m.kind === 'baseline'),
  names: (): string[] => registered.map((m) => m.name),
  /** @throws UsageError that names the nearest registered model. */
  get(name: string): Definition {
    const found = registered.find((m) => m.name === name);
    if (!found) throw unknownName('model', name, models.names(), '--model');
    return found;
  },
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
