import { readdirSync } from 'node:fs';
import { cpuDevice, type Device } from '../../engine/index.ts';
import { type ModelDefinition, models } from '../../models/index.ts';
import { type Variant, variantsOf } from '../../training/contract/variants.ts';

export * from '../../training/contract/variants.ts';

export function trainedModel(name: string): ModelDefinition {
  const found = models.get(name);
  if (found.kind !== 'trained') throw new Error(`${name} is not trained`);
  return found;
}

/** The project's own models have files of their names; tests of plugins may have registered others. */
const own = new Set(
  readdirSync(new URL('../../models', import.meta.url)).map((file) => file.replace(/\.ts$/, '')),
);

/** Every model of the project that is trained, in every combination of the choices that its settings offer. */
export const variants = (): Variant[] =>
  models
    .trained()
    .filter(({ name }) => own.has(name))
    .flatMap(variantsOf);

export const DEVICES: Device[] = [1, 2].map((threads) => cpuDevice({ threads }));
