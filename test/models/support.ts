import { cpuDevice, type Device } from '../../engine/index.ts';
import { type ModelDefinition, models } from '../../models/index.ts';
import { type Variant, variantsOf } from '../../training/contract/variants.ts';

export * from '../../training/contract/variants.ts';

export function trainedModel(name: string): ModelDefinition {
  const found = models.get(name);
  if (found.kind !== 'trained') throw new Error(`${name} is not trained`);
  return found;
}

/** Every registered model that is trained, in every combination of the choices that its settings offer. */
export const variants = (): Variant[] => models.trained().flatMap(variantsOf);

export const DEVICES: Device[] = [1, 2].map((threads) => cpuDevice({ threads }));
