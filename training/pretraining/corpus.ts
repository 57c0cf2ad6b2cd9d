import { UserError } from '../../common/errors.ts';
import type { Progress } from '../../common/progress.ts';
import { forEachPair, type Pair } from '../../data/pairs/index.ts';
import { type SplitName, splitNames } from '../../data/table.ts';
import { BpeTrainer } from '../../encoders/bpe-training.ts';
import { type PairTokens, TokenStore } from '../../encoders/pretraining/corpus.ts';
import { robertaTokenizer, type TextTokenizer } from '../../encoders/tokenizer.ts';

/** The pairs of a file, tokenized. */
export type Corpus = Record<SplitName, PairTokens>;

/** What a pairs file held. */
export interface CorpusReport {
  pairs: Record<SplitName, number>;
  items: number;
  tokens: number;
  /** Lines without a review or without metadata, and pairs with a text of no token. */
  empty: number;
}

/** Learns a tokenizer from the training pairs of a file, reviews and metadata alike; tokenizer.json. */
export async function learnTokenizer(path: string, size: number, progress: Progress): Promise<object> {
  const trainer = new BpeTrainer();
  const items = new Set<string>();
  await forEachPair(path, progress, ({ split, item, review, metadata }) => {
    if (split !== 'train') return;
    trainer.add(review);
    if (!items.has(item)) trainer.add(metadata);
    items.add(item);
  });
  progress.begin('learn the vocabulary', 'tokens');
  const vocabulary = trainer.train(size, () => progress.check());
  progress.end();
  return robertaTokenizer(vocabulary);
}

/**
 * Reads and tokenizes a file of pairs.
 * @throws UserError where there is nothing to train on or to validate on
 */
export async function readCorpus(
  path: string,
  tokenizer: TextTokenizer,
  maxTokens: number,
  progress: Progress,
): Promise<{ corpus: Corpus; report: CorpusReport }> {
  const gathering = Object.fromEntries(splitNames.map((split) => [split, new Gathering(tokenizer, maxTokens)]));
  let empty = await forEachPair(path, progress, (pair) => {
    if (!gathering[pair.split].add(pair)) empty++;
  });
  const corpus = Object.fromEntries(splitNames.map((split) => [split, gathering[split].pairs()])) as Corpus;
  const count = (of: (split: SplitName) => number) => splitNames.reduce((sum, split) => sum + of(split), 0);
  for (const [split, what] of [
    ['train', 'to train on'],
    ['valid', 'to validate on'],
  ] as const)
    if (!corpus[split].itemOf.length)
      throw new UserError(
        `${path}: no pair ${what}: ${count((s) => corpus[s].itemOf.length)} pairs, none of the split '${split}'`,
      );
  const report = {
    pairs: Object.fromEntries(splitNames.map((s) => [s, corpus[s].itemOf.length])) as CorpusReport['pairs'],
    items: count((s) => corpus[s].items.count),
    tokens: count((s) => gathering[s].tokens),
    empty,
  };
  return { corpus, report };
}

/** Gathers the pairs of one split. */
class Gathering {
  readonly #tokenizer: TextTokenizer;
  readonly #maxTokens: number;
  readonly #reviews: TokenStore;
  readonly #items: TokenStore;
  readonly #known = new Map<string, number>();
  readonly #itemOf: number[] = [];
  tokens = 0;

  constructor(tokenizer: TextTokenizer, maxTokens: number) {
    this.#tokenizer = tokenizer;
    this.#maxTokens = maxTokens;
    this.#reviews = new TokenStore(tokenizer.size);
    this.#items = new TokenStore(tokenizer.size);
  }

  /** False for a pair one of whose texts has no tokens. */
  add({ item, review, metadata }: Pair): boolean {
    const ids = this.#tokenizer.encode(review, this.#maxTokens);
    const known = this.#known.get(item);
    const itemIds = known === undefined ? this.#tokenizer.encode(metadata, this.#maxTokens) : undefined;
    // <s> and </s> alone are no text.
    if (ids.length <= 2 || (itemIds && itemIds.length <= 2)) return false;
    if (itemIds) {
      this.#known.set(item, this.#items.count);
      this.#items.push(itemIds);
    }
    this.#itemOf.push(known ?? this.#items.count - 1);
    this.#reviews.push(ids);
    this.tokens += ids.length + (itemIds?.length ?? 0);
    return true;
  }

  pairs(): PairTokens {
    return { reviews: this.#reviews, items: this.#items, itemOf: Int32Array.from(this.#itemOf) };
  }
}
