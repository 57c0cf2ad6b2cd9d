import { UserError } from '../../common/errors.ts';
import type { Progress } from '../../common/progress.ts';
import { forEachPair, type Pair } from '../../data/pairs/index.ts';
import { GrowingArray, type SplitName, splitNames } from '../../data/table.ts';
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
  const items = new Items(tokenizer, maxTokens);
  const gathering = Object.fromEntries(
    splitNames.map((split) => [split, new Gathering(tokenizer, maxTokens, items)]),
  );
  let withoutTokens = 0;
  const withoutTexts = await forEachPair(path, progress, (pair) => {
    if (!gathering[pair.split].add(pair)) withoutTokens++;
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
    items: items.store.count,
    tokens: items.tokens + count((s) => gathering[s].tokens),
    empty: withoutTexts + withoutTokens,
  };
  return { corpus, report };
}

/** The items' texts, each once; all splits number them alike. */
class Items {
  readonly store: TokenStore;
  readonly #tokenizer: TextTokenizer;
  readonly #maxTokens: number;
  readonly #known = new Map<string, number>();
  tokens = 0;

  constructor(tokenizer: TextTokenizer, maxTokens: number) {
    this.#tokenizer = tokenizer;
    this.#maxTokens = maxTokens;
    this.store = new TokenStore(tokenizer.size);
  }

  /** The number of an item, -1 where its text has no tokens. */
  number(item: string, metadata: string): number {
    const known = this.#known.get(item);
    if (known !== undefined) return known;
    const ids = this.#tokenizer.encode(metadata, this.#maxTokens);
    const number = isText(ids) ? this.store.count : -1;
    this.#known.set(item, number);
    if (number < 0) return number;
    this.store.push(ids);
    this.tokens += ids.length;
    return number;
  }
}

/** `<s>` and `</s>` alone are no text. */
const isText = (ids: readonly number[]) => ids.length > 2;

/** Gathers the pairs of one split. */
class Gathering {
  readonly #tokenizer: TextTokenizer;
  readonly #maxTokens: number;
  readonly #items: Items;
  readonly #reviews: TokenStore;
  readonly #itemOf = GrowingArray.int32();
  tokens = 0;

  constructor(tokenizer: TextTokenizer, maxTokens: number, items: Items) {
    this.#tokenizer = tokenizer;
    this.#maxTokens = maxTokens;
    this.#items = items;
    this.#reviews = new TokenStore(tokenizer.size);
  }

  /** False for a pair one of whose texts has no tokens. */
  add({ item, review, metadata }: Pair): boolean {
    const ids = this.#tokenizer.encode(review, this.#maxTokens);
    if (!isText(ids)) return false;
    const number = this.#items.number(item, metadata);
    if (number < 0) return false;
    this.#itemOf.push(number);
    this.#reviews.push(ids);
    this.tokens += ids.length;
    return true;
  }

  pairs(): PairTokens {
    return { reviews: this.#reviews, items: this.#items.store, itemOf: this.#itemOf.toArray() };
  }
}
