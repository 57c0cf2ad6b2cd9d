import { join } from 'node:path';
import { z } from 'zod';
import { UserError } from '../common/errors.ts';
import { hashFile, hashJson } from '../common/files.ts';
import { cpuDevice, type Device, type Parameters } from '../engine/index.ts';
import { defineEncoder, type TextEncoder } from './contract.ts';
import { exportRoberta, type FoundRoberta } from './export.ts';
import { machineQuantisation } from './quantise.ts';
import { planBatches, RobertaBatches } from './roberta-batches.ts';
import {
  checkpointOnHub,
  locateCheckpoint,
  readRobertaConfig,
  readRobertaWeights,
  weightsFile,
} from './roberta-files.ts';
import { longestText, type RobertaConfig } from './roberta-model.ts';
import { shardRows } from './shards.ts';
import { loadTokenizer, type TextTokenizer, tokenizerPaths } from './tokenizer.ts';
import { TokenizerThread } from './tokenizer-thread.ts';

/** A graphics card wants more work at once than a processor. */
const CARD_TOKENS = 16;

const config = z.strictObject({
  model: z
    .string()
    .describe(
      "a folder with config.json, model.safetensors (or pytorch_model.bin) and the tokenizer's files, or 'org/name' of the Hugging Face hub",
    ),
  revision: z.string().default('main').describe('branch, tag or commit of the hub repository'),
  pooling: z
    .enum(['cls', 'mean'])
    .default('cls')
    .describe('the vector of a text: of its first token, or the mean of its tokens'),
  normalize: z.enum(['none', 'l2']).default('none').describe('l2 scales vectors to length one'),
  maxTokens: z
    .int()
    .min(2)
    .default(512)
    .describe("longest text in tokens, as far as the model's positions go"),
  precision: z
    .enum(['f32', 'f16', 'int8'])
    .default('f32')
    .describe(
      'f16 (on graphics cards) and int8 (on the processor) multiply faster, and vectors differ slightly',
    ),
  batchTokens: z
    .int()
    .positive()
    .default(1024)
    .describe(`tokens a batch at most; ${CARD_TOKENS} times as many on a graphics card`),
});

/**
 * Texts that are tokenized, and sorted into batches, together. A multiple of it is embedded between two writes to the
 * cache, so that the batches do not depend on interruptions.
 */
const blockRows = shardRows;

/** @throws UserError where the device does not have the precision */
function checkPrecision(precision: 'f32' | 'f16' | 'int8', { name, eager, resident }: Device): void {
  const others = eager ? [] : [resident ? 'f16' : 'int8'];
  if (precision === 'f32' || others.includes(precision)) return;
  const where = precision === 'int8' ? 'the cpu device' : 'graphics cards';
  const has = others.length ? `f32 and ${others}` : 'f32 only';
  throw new UserError(`encoder.precision ${precision} is for ${where}; device '${name}' has ${has}`);
}

/** The RoBERTa family (RoBERTa, SimCSE, BLaIR) from Hugging Face's files: last layer, CLS before the pooler. */
export default defineEncoder({
  name: 'roberta',
  summary: 'RoBERTa and its descendants, from files as Hugging Face has them',
  config,
  async open(settings, context): Promise<TextEncoder> {
    const found = await find(settings);
    const { source, weights, model, options, maxTokens } = found;
    const { quantisation, half } = options;
    const { pooling, normalize } = settings;
    const batchTokens = settings.batchTokens * (context.device?.resident ? CARD_TOKENS : 1);
    const files = [join(source, 'config.json'), weights, ...tokenizerPaths(source)];
    checkPrecision(settings.precision, context.device ?? cpuDevice());
    const deciding = {
      pooling,
      normalize,
      maxTokens,
      ...(quantisation && { quantisation, batchTokens }),
      ...(half && { half }),
    };
    const hashes = await Promise.all(files.map(hashFile));
    const fingerprint = hashJson({ encoder: 'roberta', version: 2, hashes, ...deciding });

    // Tokenizer and weights are read when the first text comes: where all vectors are cached, none does.
    let ready: Promise<{ tokenizer: TextTokenizer; batches: RobertaBatches }> | undefined;
    let parameters: Parameters | undefined;
    let thread: TokenizerThread | undefined;
    const makeReady = async () => {
      const tokenizer = await loadTokenizer(source);
      checkTokenizer(tokenizer, model);
      parameters = await readRobertaWeights(weights, model);
      const device = context.device ?? cpuDevice({ threads: context.threads || undefined });
      const batches = await RobertaBatches.load(parameters, model, options, device);
      if (!device.eager) parameters.dispose();
      return { tokenizer, batches };
    };

    return {
      dims: model.hiddenSize,
      fingerprint,
      rowsDependOn: 'text',
      async embed(texts, onRows) {
        ready ??= makeReady();
        const { tokenizer, batches } = await ready;
        // While one block's vectors are made, a thread makes the next one's tokens.
        if (texts.length > blockRows) thread ??= new TokenizerThread({ folder: source, maxTokens });
        const tokens = (first: number): Promise<ArrayLike<number>[]> => {
          const block = texts.slice(first, first + blockRows);
          if (thread) return thread.encode(block);
          return Promise.resolve(block.map((text) => tokenizer.encode(text, maxTokens)));
        };
        let next = tokens(0);
        for (let first = 0; first < texts.length; first += blockRows) {
          const rows = await next;
          next = tokens(first + blockRows);
          const vectors = new Float32Array(rows.length * model.hiddenSize);
          const lengths = rows.map((ids) => ids.length);
          for (const batch of planBatches(lengths, batchTokens)) {
            context.progress.check();
            const values = await batches.encode(batch.map((row) => rows[row]));
            batch.forEach((row, i) => {
              const vector = values.subarray(i * model.hiddenSize, (i + 1) * model.hiddenSize);
              vectors.set(vector, row * model.hiddenSize);
            });
          }
          await onRows(first, vectors);
        }
      },
      async close() {
        await thread?.close();
        await (await ready?.catch(() => undefined))?.batches.close();
        parameters?.dispose();
      },
    };
  },
  onHub: ({ model, revision }) => checkpointOnHub(model, revision),
  async export(settings, folder, progress) {
    if (settings.precision === 'f16')
      throw new UserError('encoder.precision f16 is not exported: export f32 or int8');
    return exportRoberta(folder, await find(settings), progress);
  },
  async weights({ model, revision }) {
    const found = await locateCheckpoint(model, revision);
    return 'folder' in found ? { atHand: true, where: found.folder } : { atHand: false, where: found.advice };
  },
});

/** The checkpoint that settings name. @throws UserError with what to get, where it is not at hand */
async function find(settings: z.output<typeof config>): Promise<FoundRoberta> {
  const { pooling, normalize, precision } = settings;
  const found = await locateCheckpoint(settings.model, settings.revision);
  if ('advice' in found) throw new UserError(found.advice);
  const source = found.folder;
  const model = await readRobertaConfig(source);
  const quantisation = precision === 'int8' ? await machineQuantisation() : undefined;
  const options = { pooling, normalize, quantisation, half: precision === 'f16' };
  const maxTokens = Math.min(settings.maxTokens, longestText(model));
  return { source, weights: weightsFile(source), model, options, maxTokens };
}

function checkTokenizer({ size, padId, files }: TextTokenizer, model: RobertaConfig): void {
  if (size > model.vocabSize)
    throw new UserError(
      `${files.join(' and ')}: ${size} tokens, but config.json gives the model ${model.vocabSize}`,
    );
  if (padId !== model.padId)
    throw new UserError(
      `${files.join(' and ')}: <pad> is token ${padId}, but config.json says ${model.padId}`,
    );
}
