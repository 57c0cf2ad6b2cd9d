import { existsSync } from 'node:fs';
import { copyFile, mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { UsageError, UserError } from '../common/errors.ts';
import { readJson, replaceAtomically } from '../common/files.ts';
import type { Progress } from '../common/progress.ts';
import { writeSafetensors } from '../common/safetensors.ts';
import { cpuDevice, encodeOnnx, type Parameters, runOnnx } from '../engine/index.ts';
import type { ExportedEncoder } from './contract.ts';
import { RobertaBatches } from './roberta-batches.ts';
import { readRobertaWeights } from './roberta-files.ts';
import { type RobertaGraphOptions, robertaGraph } from './roberta-graph.ts';
import type { RobertaConfig } from './roberta-model.ts';
import { loadTokenizer, tokenizerPaths } from './tokenizer.ts';

/** A RoBERTa model as it was found, and how its vectors are made. */
export interface FoundRoberta {
  /** Folder of config.json and the tokenizer's files. */
  source: string;
  weights: string;
  model: RobertaConfig;
  options: Omit<RobertaGraphOptions, 'padded'>;
  maxTokens: number;
}

/** Texts of several lengths, which every export is tried on. */
const samples = [
  'a',
  'Vitamin C serum for face, 1 fl oz',
  'Crème brûlée torch — 50% off! 🔥 <b>New</b>',
  'stainless steel water bottle, leak proof, keeps drinks cold for a day '.repeat(12),
];

/**
 * Writes a model as a folder that transformers and sentence-transformers load, with model.onnx beside it: input_ids and
 * attention_mask [batch, length] to embedding [batch, hidden]. What was written is read back and tried before the folder
 * appears under its name.
 * @throws UsageError where something is there already; UserError where what was written gives other vectors.
 */
export async function exportRoberta(
  folder: string,
  found: FoundRoberta,
  progress: Progress,
): Promise<ExportedEncoder> {
  if (existsSync(folder)) throw new UsageError(`${folder}: is there already; name a new folder.`);
  const parameters = await readRobertaWeights(found.weights, found.model);
  let agreement = 0;
  try {
    await replaceAtomically(folder, async (temporary) => {
      await mkdir(temporary, { recursive: true });
      progress.note(`writing ${folder}`);
      await writeHuggingFace(temporary, found, parameters);
      await writeSentenceTransformers(temporary, found);
      const graph = robertaGraph(parameters, found.model, { ...found.options, padded: true });
      await writeFile(join(temporary, 'model.onnx'), encodeOnnx(graph, { longInputs: true }));
      progress.note('reading it back');
      await checkWeights(join(temporary, 'model.safetensors'), found.model, parameters);
      agreement = await checkOnnx(temporary, found, parameters);
    });
  } finally {
    parameters.dispose();
  }
  const names = (await readdir(folder, { recursive: true })).sort();
  const sizes = await Promise.all(
    names.map(async (file) => ({ file, status: await stat(join(folder, file)) })),
  );
  const files = sizes
    .filter(({ status }) => status.isFile())
    .map(({ file, status }) => ({ file, bytes: status.size }));
  return { folder, files, agreement };
}

async function writeHuggingFace(
  folder: string,
  { source, maxTokens }: FoundRoberta,
  parameters: Parameters,
): Promise<void> {
  const { dtype: _, ...config } = await readJson<Record<string, unknown>>(join(source, 'config.json'));
  await writeJson(folder, 'config.json', {
    ...config,
    architectures: ['RobertaModel'],
    torch_dtype: 'float32',
  });
  const tensors = parameters
    .all()
    .map(({ name, shape, values }) => [name, { dtype: 'F32', shape, data: values }] as const);
  await writeSafetensors(join(folder, 'model.safetensors'), tensors, { format: 'pt' });
  const paths = tokenizerPaths(source);
  for (const file of paths) await copyFile(file, join(folder, basename(file)));
  // Written anew: transformers makes its tokenizer of these settings rather than of tokenizer.json's, and they may differ.
  const { pre_tokenizer } = await readJson<{ pre_tokenizer?: { add_prefix_space?: boolean } }>(paths[0]);
  await writeJson(folder, 'tokenizer_config.json', {
    tokenizer_class: 'RobertaTokenizer',
    model_max_length: maxTokens,
    add_prefix_space: pre_tokenizer?.add_prefix_space ?? false,
    bos_token: '<s>',
    cls_token: '<s>',
    eos_token: '</s>',
    sep_token: '</s>',
    pad_token: '<pad>',
    unk_token: '<unk>',
    mask_token: '<mask>',
  });
}

/** The modules of sentence-transformers: the model, its pooling, and unit length where it is asked for. */
async function writeSentenceTransformers(
  folder: string,
  { model, options: { pooling, normalize }, maxTokens }: FoundRoberta,
): Promise<void> {
  const modules = ['Transformer', 'Pooling', ...(normalize === 'l2' ? ['Normalize'] : [])];
  await writeJson(
    folder,
    'modules.json',
    modules.map((name, idx) => ({
      idx,
      name: String(idx),
      path: idx ? `${idx}_${name}` : '',
      type: `sentence_transformers.models.${name}`,
    })),
  );
  await writeJson(folder, 'sentence_bert_config.json', { max_seq_length: maxTokens, do_lower_case: false });
  await mkdir(join(folder, '1_Pooling'));
  await writeJson(folder, '1_Pooling/config.json', {
    word_embedding_dimension: model.hiddenSize,
    pooling_mode_cls_token: pooling === 'cls',
    pooling_mode_mean_tokens: pooling === 'mean',
    pooling_mode_max_tokens: false,
    pooling_mode_mean_sqrt_len_tokens: false,
  });
  if (normalize === 'l2') await mkdir(join(folder, '2_Normalize'));
}

const writeJson = (folder: string, name: string, value: unknown) =>
  writeFile(join(folder, name), `${JSON.stringify(value, null, 2)}\n`);

async function checkWeights(path: string, model: RobertaConfig, expected: Parameters): Promise<void> {
  const written = await readRobertaWeights(path, model);
  const bytes = (values: Float32Array) => Buffer.from(values.buffer, values.byteOffset, values.byteLength);
  try {
    for (const { name, values } of expected.all())
      if (!bytes(values).equals(bytes(written.get(name).values)))
        throw new UserError(`${path}: tensor '${name}' was not written as it is`);
  } finally {
    written.dispose();
  }
}

/** Least cosine between the vectors of the samples, by the file in one padded batch and by the weights in single batches. */
async function checkOnnx(folder: string, found: FoundRoberta, weights: Parameters): Promise<number> {
  const { model, options, maxTokens } = found;
  const { encode, padId } = await loadTokenizer(folder);
  const texts = samples.map((text) => encode(text, maxTokens));
  const length = Math.max(...texts.map((ids) => ids.length));
  const feed = (value: (ids: readonly number[], i: number) => number) => ({
    shape: [texts.length, length],
    data: BigInt64Array.from(texts.flatMap((ids) => Array.from({ length }, (_, i) => BigInt(value(ids, i))))),
  });
  const { embedding } = await runOnnx(await readFile(join(folder, 'model.onnx')), {
    input_ids: feed((ids, i) => ids[i] ?? padId),
    attention_mask: feed((ids, i) => (i < ids.length ? 1 : 0)),
  });
  const exact = { ...options, quantisation: undefined };
  const batches = await RobertaBatches.load(weights, model, exact, cpuDevice());
  let least = 1;
  try {
    for (const [row, ids] of texts.entries()) {
      const vector = await batches.encode([ids]);
      least = Math.min(least, cosine(vector, embedding.subarray(row * model.hiddenSize)));
    }
  } finally {
    await batches.close();
  }
  const enough = options.quantisation ? 0.99 : 0.99999;
  if (!(least >= enough))
    throw new UserError(`model.onnx gives other vectors than the weights: a cosine of ${least.toFixed(5)}`);
  return least;
}

function cosine(a: Float32Array, b: Float32Array): number {
  const [dot, aa, bb] = a.reduce(
    ([dot, aa, bb], x, i) => [dot + x * b[i], aa + x * x, bb + b[i] * b[i]],
    [0, 0, 0],
  );
  return dot / Math.sqrt(aa * bb);
}
