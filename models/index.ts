import { unknownName } from '../common/errors.ts';
import type { ModelDefinition } from './contract.ts';
import gru4rec from './gru4rec.ts';
import sasrec from './sasrec.ts';
import sasrecText from './sasrec-text.ts';
import unisrec from './unisrec.ts';

/** Every registered model. A new one is a file beside these, and a line here. */
const registered = [gru4rec, sasrec, sasrecText, unisrec] as unknown as ModelDefinition[];

export const models = {
  all: (): readonly ModelDefinition[] => registered,
  names: (): string[] => registered.map((m) => m.name),
  /** @throws UsageError that names the nearest registered model. */
  get(name: string): ModelDefinition {
    const found = registered.find((m) => m.name === name);
    if (!found) throw unknownName('model', name, models.names(), '--model');
    return found;
  },
};

export type {
  BuildContext,
  History,
  Items,
  LossBatch,
  Mode,
  ModelDefinition,
  Recommender,
} from './contract.ts';
export { defineModel } from './contract.ts';
