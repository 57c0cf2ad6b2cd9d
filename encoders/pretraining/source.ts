import { copyFile, mkdir } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { UserError } from '../../common/errors.ts';
import { writeFileAtomic } from '../../common/files.ts';
import { toFloat16 } from '../../common/half.ts';
import { writeSafetensors } from '../../common/safetensors.ts';
import { Parameters } from '../../engine/index.ts';
import {
  locateCheckpoint,
  readRobertaConfig,
  readRobertaWeights,
  robertaConfigFile,
  weightsFile,
} from '../roberta-files.ts';
import type { RobertaConfig } from '../roberta-model.ts';
import { loadTokenizer, type TextTokenizer } from '../tokenizer.ts';
import { createEncoder, createMissing, type Heads, headShapes } from './heads.ts';

/** What a pretraining starts from. */
export interface Start {
  config: RobertaConfig;
  tokenizer: TextTokenizer;
  parameters: Parameters;
}

/** A model of its own, made from scratch. */
export function startFromScratch(
  config: RobertaConfig,
  tokenizer: TextTokenizer,
  heads: Heads,
  seed: number,
): Start {
  const parameters = new Parameters({ seed });
  createEncoder(parameters, config);
  createMissing(parameters, headShapes(config, heads));
  return { config, tokenizer, parameters };
}

/** The folder of the checkpoint that `init` names: a folder, a repository of the hub, or the run of a pretraining. */
export async function locateStart(init: string): Promise<string> {
  const found = await locateCheckpoint(init, 'main');
  if ('advice' in found) throw new UserError(`init ${init}: ${found.advice}`);
  return found.folder;
}

/** A checkpoint with its heads, as far as it has them; the others are new. */
export async function startFromCheckpoint(folder: string, heads: Heads, seed: number): Promise<Start> {
  const config = await readRobertaConfig(folder);
  const optional = headShapes(config, heads);
  const parameters = await readRobertaWeights(weightsFile(folder), config, {
    trainable: true,
    seed,
    optional,
  });
  createMissing(parameters, optional);
  return { config, tokenizer: await loadTokenizer(folder), parameters };
}

/** Begins an encoder's folder: all of it but the weights. */
export async function beginEncoderFolder(
  folder: string,
  config: RobertaConfig,
  tokenizer: { files: readonly string[] } | { definition: object },
): Promise<void> {
  await mkdir(folder, { recursive: true });
  await writeFileAtomic(
    join(folder, 'config.json'),
    `${JSON.stringify(robertaConfigFile(config), null, 2)}\n`,
  );
  if ('definition' in tokenizer)
    await writeFileAtomic(join(folder, 'tokenizer.json'), `${JSON.stringify(tokenizer.definition)}\n`);
  else for (const file of tokenizer.files) await copyFile(file, join(folder, basename(file)));
}

/** Writes the weights, heads included, under Hugging Face's names. */
export async function saveEncoder(
  folder: string,
  parameters: Parameters,
  dtype: 'f32' | 'f16',
): Promise<void> {
  await parameters.fetch();
  const tensors = parameters
    .all()
    .map(({ name, shape, values }) =>
      dtype === 'f16'
        ? ([name, { dtype: 'F16', shape, data: toFloat16(values) }] as const)
        : ([name, { dtype: 'F32', shape, data: values }] as const),
    );
  await writeSafetensors(join(folder, 'model.safetensors'), tensors, { format: 'pt' });
}
