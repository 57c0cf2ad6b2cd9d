import { existsSync, statSync } from 'node:fs';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { UserError } from '../common/errors.ts';
import { cacheFolder, readJson } from '../common/files.ts';
import { asFloat32, readSafetensors, readSafetensorsHeader, requireTensor } from '../common/safetensors.ts';
import { readTorchFile, readTorchNames } from '../common/torch-file.ts';
import { Parameters } from '../engine/index.ts';
import { cachedSnapshot, type HubNeed, hubCache } from '../hub/index.ts';
import { type RobertaConfig, robertaShapes } from './roberta-model.ts';
import { tokenizerFiles } from './tokenizer.ts';

/** The first of these that a folder has is read. */
const weightsFiles = ['model.safetensors', 'pytorch_model.bin'] as const;

/** Where the run of a pretraining keeps the encoder that it trains, in Hugging Face's layout. */
export const ENCODER_FOLDER = 'encoder';

/** Where a checkpoint was found, or what to get and where to put it. */
export type Located = { folder: string } | { advice: string };

/** The folder of a checkpoint that comes with the project, named 'rec/...'; undefined for any other. */
export function builtInCheckpoint(model: string): string | undefined {
  const name = /^rec\/([\w-]+)$/.exec(model)?.[1];
  return name && fileURLToPath(new URL(`./checkpoints/${name}`, import.meta.url));
}

/**
 * Finds a checkpoint: `model` is a folder, the run folder of a pretraining, one that comes with the project ('rec/name'), or a repository of the Hugging
 * Face hub ('org/name'), which is looked for in the folder for weights and in the hub's own cache.
 */
export async function locateCheckpoint(model: string, revision: string): Promise<Located> {
  const ours = builtInCheckpoint(model);
  if (ours) return located(ours, `The folder ${ours}`);
  const asPath = model.startsWith('~/') ? join(homedir(), model.slice(2)) : model;
  const ofRun = join(asPath, ENCODER_FOLDER);
  if (isFolder(ofRun)) return located(resolve(ofRun), `The folder ${ofRun}`);
  if (isFolder(asPath)) return located(resolve(asPath), `The folder ${asPath}`);
  if (!isRepository(model))
    return { advice: `${model}: no such folder, and not the name of a repository (org/name)` };
  const own = cacheFolder('weights', ...model.split('/'));
  const places = [own, await cachedSnapshot({ type: 'model', name: model, revision })];
  const complete = places.find((folder) => !missingFiles(folder).length);
  if (complete) return { folder: complete };
  const begun = places.find((folder) => isFolder(folder));
  const found = begun ? ` ${begun} lacks ${missingFiles(begun).join(', ')}.` : '';
  return {
    advice:
      `the weights of ${model} are not at hand.${found} Get config.json, model.safetensors (or pytorch_model.bin) and tokenizer.json ` +
      `(or vocab.json and merges.txt) of https://huggingface.co/${model}/tree/${revision} and put them into ${own}, ` +
      `or run 'rec data download --encoder roberta:${model}' or 'hf download ${model}', which fetch them to ${hubCache()}; or name a folder that has them: --set encoder.model=FOLDER.`,
  };
}

/** The files of a checkpoint that the hub is asked for; undefined for a folder. Pickled weights only where there are no others. */
export async function checkpointOnHub(model: string, revision: string): Promise<HubNeed | undefined> {
  if (!isRepository(model) || isFolder(model)) return undefined;
  const found = await locateCheckpoint(model, revision);
  return {
    by: `the weights of ${model}`,
    repo: { type: 'model', name: model, revision },
    files: ['config.json', ...weightsFiles, ...tokenizerFiles.flat()],
    choose: (there) =>
      there.filter((file) => file !== 'pytorch_model.bin' || !there.includes('model.safetensors')),
    advice: 'advice' in found ? found.advice : '',
  };
}

const isRepository = (model: string) => /^[\w-][\w.-]*\/[\w-][\w.-]*$/.test(model);

function located(folder: string, subject: string): Located {
  const missing = missingFiles(folder);
  return missing.length ? { advice: `${subject} lacks ${missing.join(', ')}.` } : { folder };
}

function missingFiles(folder: string): string[] {
  const lacks = (name: string) => !existsSync(join(folder, name));
  const needed = [[['config.json']], weightsFiles.map((name) => [name]), tokenizerFiles];
  return needed
    .filter((sets) => !sets.some((set) => !set.some(lacks)))
    .map((sets) => sets.map((set) => set.join(' and ')).join(' or '));
}

/** The file that holds a checkpoint's weights: safetensors, or what torch.save wrote. */
export function weightsFile(folder: string): string {
  return join(folder, weightsFiles.find((name) => existsSync(join(folder, name))) ?? weightsFiles[0]);
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
}

const count = z.int().positive();
const configFile = z.object({
  model_type: z.literal('roberta'),
  hidden_act: z.literal('gelu').default('gelu'),
  position_embedding_type: z.literal('absolute').default('absolute'),
  num_hidden_layers: count,
  num_attention_heads: count,
  hidden_size: count,
  intermediate_size: count,
  vocab_size: count,
  max_position_embeddings: count,
  type_vocab_size: count.default(1),
  pad_token_id: z.int().nonnegative().default(1),
  layer_norm_eps: z.number().positive().default(1e-5),
  hidden_dropout_prob: z.number().min(0).max(1).default(0.1),
  attention_probs_dropout_prob: z.number().min(0).max(1).default(0.1),
});

/** Reads config.json. @throws UserError naming the file and the key that cannot be used. */
export async function readRobertaConfig(folder: string): Promise<RobertaConfig> {
  const path = join(folder, 'config.json');
  const parsed = configFile.safeParse(await readJson(path));
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw new UserError(`${path}: ${issue.path.join('.') || 'the file'}: ${issue.message}`);
  }
  const c = parsed.data;
  if (c.hidden_size % c.num_attention_heads)
    throw new UserError(
      `${path}: hidden_size ${c.hidden_size} is not divisible by ${c.num_attention_heads} heads`,
    );
  if (c.max_position_embeddings < c.pad_token_id + 3)
    throw new UserError(
      `${path}: max_position_embeddings ${c.max_position_embeddings} leaves no room for a text`,
    );
  return {
    layers: c.num_hidden_layers,
    heads: c.num_attention_heads,
    hiddenSize: c.hidden_size,
    innerSize: c.intermediate_size,
    vocabSize: c.vocab_size,
    maxPositions: c.max_position_embeddings,
    tokenTypes: c.type_vocab_size,
    padId: c.pad_token_id,
    epsilon: c.layer_norm_eps,
    hiddenDropout: c.hidden_dropout_prob,
    attentionDropout: c.attention_probs_dropout_prob,
  };
}

/** config.json of a model: what `readRobertaConfig` reads back, and what Hugging Face's transformers wants besides. */
export function robertaConfigFile(config: RobertaConfig): Record<string, unknown> {
  return {
    architectures: ['RobertaModel'],
    model_type: 'roberta',
    hidden_act: 'gelu',
    position_embedding_type: 'absolute',
    num_hidden_layers: config.layers,
    num_attention_heads: config.heads,
    hidden_size: config.hiddenSize,
    intermediate_size: config.innerSize,
    vocab_size: config.vocabSize,
    max_position_embeddings: config.maxPositions,
    type_vocab_size: config.tokenTypes,
    bos_token_id: 0,
    pad_token_id: config.padId,
    eos_token_id: 2,
    layer_norm_eps: config.epsilon,
    hidden_dropout_prob: config.hiddenDropout,
    attention_probs_dropout_prob: config.attentionDropout,
    initializer_range: 0.02,
  };
}

export interface ReadWeightsOptions {
  trainable?: boolean;
  /** Of parameters that are made later. */
  seed?: number;
  /** Tensors that are read too where the checkpoint has them. */
  optional?: ReadonlyMap<string, number[]>;
}

const safetensors = {
  list: async (path: string) => (await readSafetensorsHeader(path)).entries.map(({ name }) => name),
  read: readSafetensors,
};
const torchFile = { list: readTorchNames, read: readTorchFile };

/**
 * Reads the tensors of `robertaShapes` from a checkpoint, whose names may have a prefix ('roberta.'), as 32-bit floats.
 * @throws UserError naming the file and the tensors that are missing or of another shape.
 */
export async function readRobertaWeights(
  path: string,
  config: RobertaConfig,
  { trainable = false, seed, optional = new Map() }: ReadWeightsOptions = {},
): Promise<Parameters> {
  const shapes = robertaShapes(config);
  const { list, read } = path.endsWith('.safetensors') ? safetensors : torchFile;
  const names = new Set(await list(path));
  const anchor = 'embeddings.word_embeddings.weight';
  const prefix = [...names].find((name) => name.endsWith(anchor))?.slice(0, -anchor.length) ?? '';
  const missing = [...shapes.keys()].filter((name) => !names.has(prefix + name));
  if (missing.length)
    throw new UserError(
      `${path}: ${missing.length} tensors of a RoBERTa model are missing: ${abridge(missing)}`,
    );
  // Heads stand beside the encoder, not below its prefix.
  const wanted = new Map([...shapes].map(([name, shape]) => [prefix + name, { name, shape }]));
  for (const [name, shape] of optional)
    for (const stored of [prefix + name, name]) if (names.has(stored)) wanted.set(stored, { name, shape });
  const file = await read(path, { only: (name) => wanted.has(name), float32: true });
  const parameters = new Parameters({ seed });
  for (const [stored, { name, shape }] of wanted) {
    const values = asFloat32(requireTensor(file, stored, shape), `${path}: tensor '${stored}'`);
    parameters.create(name, shape, values, { trainable });
    file.tensors.delete(stored);
  }
  return parameters;
}

function abridge(names: readonly string[]): string {
  const shown = names.slice(0, 4).join(', ');
  return names.length > 4 ? `${shown} and ${names.length - 4} more` : shown;
}
