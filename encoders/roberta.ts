import { join } from 'node:path';
import { z } from 'zod';
import { UserError } from '../common/errors.ts';
import { hashFile, hashJson } from '../common/files.ts';
import { defineEncoder, type TextEncoder } from './contract.ts';
import { RobertaBatches, takeBatch } from './roberta-batches.ts';
import {
  checkpointOnHub,
  locateCheckpoint,
  readRobertaConfig,
  readRobertaWeights,
  weightsFile,
} from './roberta-files.ts';
import { longestText, type RobertaConfig } from './roberta-model.ts';
import { loadTokenizer, type TextTokenizer } from './tokenizer.ts';

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
  batchTokens: z.int().positive().default(4096).describe('tokens a batch, padding included'),
});

/** The RoBERTa family (RoBERTa, SimCSE, BLaIR) from Hugging Face's files: last layer, CLS before the pooler. */
export default defineEncoder({
  name: 'roberta',
  summary: 'RoBERTa and its descendants, from files as Hugging Face has them',
  config,
  async open(settings, context): Promise<TextEncoder> {
    const found = await locateCheckpoint(settings.model, settings.revision);
    if ('advice' in found) throw new UserError(found.advice);
    const model = await readRobertaConfig(found.folder);
    const weights = weightsFile(found.folder);
    const tokenizer = await loadTokenizer(found.folder);
    checkTokenizer(tokenizer, model);
    const maxTokens = Math.min(settings.maxTokens, longestText(model));
    const files = [join(found.folder, 'config.json'), weights, ...tokenizer.files];
    const { pooling, normalize } = settings;
    const hashes = await Promise.all(files.map(hashFile));
    // Weights are read when the first text comes: where all vectors are cached, none does.
    let batches: RobertaBatches | undefined;
    return {
      dims: model.hiddenSize,
      fingerprint: hashJson({ encoder: 'roberta', version: 1, hashes, pooling, normalize, maxTokens }),
      rowsDependOn: 'text',
      async embed(texts, onRows) {
        batches ??= new RobertaBatches(await readRobertaWeights(weights, model), model, settings, context);
        const encode = (text: string) => tokenizer.encode(text, maxTokens);
        for (let first = 0; first < texts.length; ) {
          context.progress.check();
          const batch = takeBatch(texts, first, encode, settings.batchTokens);
          await onRows(first, await batches.encode(batch));
          first += batch.length;
        }
      },
      async close() {
        await batches?.close();
      },
    };
  },
  onHub: ({ model, revision }) => checkpointOnHub(model, revision),
  async weights({ model, revision }) {
    const found = await locateCheckpoint(model, revision);
    return 'folder' in found ? { atHand: true, where: found.folder } : { atHand: false, where: found.advice };
  },
});

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
