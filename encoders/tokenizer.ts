import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Tokenizer } from '@huggingface/tokenizers';
import { messageOf, UserError } from '../common/errors.ts';
import { explainFileError, readJson } from '../common/files.ts';
import type { Vocabulary } from './bpe-training.ts';

/** RoBERTa's byte-level BPE (Radford et al. 2019): text to token ids, `<s> ... </s>`. */
export interface TextTokenizer {
  /** Ids of a text, cut to `maxTokens` of which the last is `</s>`. */
  encode(text: string, maxTokens: number): number[];
  padId: number;
  maskId: number;
  /** `<s>`, `<pad>`, `</s>`. */
  special: ReadonlySet<number>;
  /** One more than the largest id. */
  size: number;
  /** The files it was read from. */
  files: string[];
}

/** Files that a tokenizer can be made of; the first set that a folder has is taken. */
export const tokenizerFiles: readonly (readonly string[])[] = [
  ['tokenizer.json'],
  ['vocab.json', 'merges.txt'],
];

/** The files that `loadTokenizer` reads. @throws UserError where there are none */
export function tokenizerPaths(folder: string): string[] {
  const names = tokenizerFiles.find((set) => set.every((name) => existsSync(join(folder, name))));
  if (!names) throw new UserError(`${folder}: has neither tokenizer.json nor vocab.json and merges.txt`);
  return names.map((name) => join(folder, name));
}

/**
 * Reads the tokenizer of a folder in Hugging Face's layout: tokenizer.json, else vocab.json and merges.txt.
 * @throws UserError naming the file and the problem.
 */
export async function loadTokenizer(folder: string): Promise<TextTokenizer> {
  const files = tokenizerPaths(folder);
  const definition =
    files.length === 1 ? await readJson<object>(files[0]) : await fromVocabulary(files[0], files[1]);
  try {
    return makeTokenizer(definition, files);
  } catch (error) {
    throw new UserError(`${files.join(' and ')}: not a usable tokenizer: ${messageOf(error)}`);
  }
}

/** A tokenizer from what tokenizer.json says. @param files where that was read */
export function makeTokenizer(definition: object, files: string[]): TextTokenizer {
  const tokenizer = new Tokenizer(definition, {});
  const [padId, maskId] = ['<pad>', '<mask>'].map((token) => {
    const id = tokenizer.token_to_id(token);
    if (id === undefined) throw new Error(`the token ${token} is missing`);
    return id;
  });
  const [start, end, ...rest] = tokenizer.encode('').ids;
  if (end === undefined || rest.length)
    throw new Error(`an empty text is ${[start, end, ...rest]}, not <s> </s>`);
  let size = 0;
  for (const id of tokenizer.get_vocab().values()) size = Math.max(size, id + 1);
  return {
    padId,
    maskId,
    special: new Set([start, padId, end]),
    size,
    files,
    encode(text, maxTokens) {
      const { ids } = tokenizer.encode(text);
      return ids.length <= maxTokens ? ids : [...ids.slice(0, maxTokens - 1), end];
    },
  };
}

/** The vocabulary and merges of the older files, as tokenizer.json would have them. */
async function fromVocabulary(vocabFile: string, mergesFile: string): Promise<object> {
  const vocab = await readJson<Record<string, number>>(vocabFile);
  const text = await readFile(mergesFile, 'utf8').catch((error) => {
    throw explainFileError(error, mergesFile);
  });
  const merges = text.split('\n').filter((line) => line && !line.startsWith('#version'));
  const bad = merges.findIndex((line) => line.split(' ').length !== 2);
  if (bad >= 0) throw new UserError(`${mergesFile}: '${merges[bad]}' is not a pair of tokens`);
  const missing = specialTokens.find((token) => vocab[token] === undefined);
  if (missing) throw new UserError(`${vocabFile}: the token ${missing} is missing`);
  return robertaTokenizer({ vocab, merges });
}

const specialTokens = ['<s>', '<pad>', '</s>', '<unk>', '<mask>'];

/** tokenizer.json of a RoBERTa model with this vocabulary. */
export function robertaTokenizer({ vocab, merges }: Vocabulary): object {
  const special = (content: string) => ({
    id: vocab[content],
    content,
    single_word: false,
    lstrip: content === '<mask>',
    rstrip: false,
    normalized: false,
    special: true,
  });
  return {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: specialTokens.map(special),
    normalizer: null,
    pre_tokenizer: { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true },
    post_processor: {
      type: 'RobertaProcessing',
      sep: ['</s>', vocab['</s>']],
      cls: ['<s>', vocab['<s>']],
      trim_offsets: true,
      add_prefix_space: false,
    },
    decoder: { type: 'ByteLevel', add_prefix_space: true, trim_offsets: true, use_regex: true },
    model: {
      type: 'BPE',
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: '',
      end_of_word_suffix: '',
      fuse_unk: false,
      byte_fallback: false,
      ignore_merges: false,
      vocab,
      merges,
    },
  };
}
