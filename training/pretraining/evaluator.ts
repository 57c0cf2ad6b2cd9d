import { seeded } from '../../common/random.ts';
import type { PairTokens, TokenStore } from '../../encoders/pretraining/corpus.ts';
import { contrastVectors, type Heads } from '../../encoders/pretraining/heads.ts';
import { partsOf } from '../../encoders/pretraining/parts.ts';
import {
  contrastiveLoss,
  maskedLoss,
  maskParts,
  pairFeeds,
  type StepOptions,
} from '../../encoders/pretraining/step.ts';
import { type Compiled, compile, type HostTensor, type Inputs, type tf } from '../../engine/index.ts';
import { type Metrics, rankMetrics } from '../../evaluation/metrics.ts';
import { rankOwn } from './retrieval.ts';

/** Dropout-free losses and retrieval of an encoder that is being pretrained. */
export class Evaluator {
  readonly #options: StepOptions;
  readonly #batchSize: number;
  /** As training compares texts, and as they are used afterwards. */
  readonly #trained: Compiled;
  readonly #used: Compiled;
  readonly #contrast: Compiled;
  readonly #mlm: Compiled;

  constructor(options: StepOptions, batchSize: number) {
    this.#options = options;
    this.#batchSize = batchSize;
    const { parameters, config, heads, objective, device } = options;
    const shared = { parameters, device, sessions: 8 };
    const encode = (heads: Heads) => (inputs: Inputs) => {
      const batch = { ids: inputs.ids as tf.Tensor2D, mask: inputs.mask as tf.Tensor2D };
      return { vectors: contrastVectors(parameters, config, batch, heads, false) };
    };
    this.#trained = compile(encode(heads), shared);
    this.#used = compile(encode({ ...heads, pooler: 'none' }), shared);
    this.#contrast = compile((inputs) => ({ loss: contrastiveLoss(inputs, objective.temperature) }), {
      device,
    });
    this.#mlm = compile((inputs) => ({ loss: maskedLoss(parameters, config, inputs, false) }), shared);
  }

  /**
   * Losses of the objective's parts, and how well reviews find their items among those of the same pairs, or all:
   * 'contrastive_loss', 'mlm_loss', 'mrr', 'recall@10', 'ndcg@100'.
   */
  async evaluate(pairs: PairTokens, candidates: 'own' | 'all', check: () => void): Promise<Metrics> {
    const { objective } = this.#options;
    return {
      ...(objective.contrastive && { contrastive_loss: await this.#contrastiveLoss(pairs, check) }),
      ...(objective.mlmWeight > 0 && { mlm_loss: await this.#maskedLoss(pairs, check) }),
      ...(await this.#retrieve(pairs, candidates, check)),
    };
  }

  /** Mean over batches in the file's order; pairs that fill no whole batch are left out. */
  async #contrastiveLoss({ reviews, items, itemOf }: PairTokens, check: () => void): Promise<number> {
    const size = Math.min(this.#batchSize, itemOf.length);
    const count = Math.floor(itemOf.length / size);
    let sum = 0;
    for (let batch = 0; batch < count; batch++) {
      const numbers = Array.from({ length: size }, (_, i) => batch * size + i);
      const texts = [...numbers.map((i) => reviews.get(i)), ...numbers.map((i) => items.get(itemOf[i]))];
      const vectors = await this.#encode(this.#trained, texts, check);
      const row = Int32Array.from(texts, (_, i) => i);
      const { loss } = await this.#contrast({ vectors, ...pairFeeds({ row, feeds: [] }, size) });
      sum += loss.data[0];
    }
    return sum / count;
  }

  /** Mean over masked tokens, the same ones at every evaluation. */
  async #maskedLoss({ reviews, items, itemOf }: PairTokens, check: () => void): Promise<number> {
    const { rows, config, vocabulary, objective } = this.#options;
    const texts = [...textsOf(reviews), ...distinct(itemOf).map((item) => items.get(item))];
    const { feeds } = partsOf(texts, Math.min(rows, texts.length), config);
    const { masked } = maskParts(feeds, vocabulary, objective.mlmProbability, seeded('validation masks'), 1);
    let sum = 0;
    for (const inputs of masked) {
      check();
      sum += (await this.#mlm(inputs)).loss.data[0];
    }
    return sum;
  }

  /** Reviews as queries for their own items, by cosine. */
  async #retrieve(
    { reviews, items, itemOf }: PairTokens,
    candidates: 'own' | 'all',
    check: () => void,
  ): Promise<Metrics> {
    const numbers = candidates === 'own' ? distinct(itemOf) : [...Array(items.count).keys()];
    const place = new Map(numbers.map((item, i) => [item, i]));
    const own = itemOf.map((item) => place.get(item)!);
    const queries = await this.#encode(this.#used, textsOf(reviews), check);
    const keys = await this.#encode(
      this.#used,
      numbers.map((item) => items.get(item)),
      check,
    );
    const metrics = rankMetrics(await rankOwn(queries, keys, own, this.#options.device), [
      10,
      100,
      numbers.length,
    ]);
    return {
      mrr: metrics[`mrr@${numbers.length}`],
      'recall@10': metrics['recall@10'],
      'ndcg@100': metrics['ndcg@100'],
    };
  }

  /** [texts, hidden], each of length one. */
  async #encode(
    encode: Compiled,
    texts: readonly ArrayLike<number>[],
    check: () => void,
  ): Promise<HostTensor> {
    const { rows, config } = this.#options;
    const d = config.hiddenSize;
    const { feeds, row } = partsOf(texts, Math.min(rows, texts.length), config);
    const perPart = feeds[0].ids.shape[0];
    const byRow = new Float32Array(feeds.length * perPart * d);
    for (const [part, tokens] of feeds.entries()) {
      check();
      byRow.set((await encode(tokens)).vectors.data as Float32Array, part * perPart * d);
    }
    const data = new Float32Array(texts.length * d);
    for (const [i, at] of row.entries()) data.set(byRow.subarray(at * d, (at + 1) * d), i * d);
    return { dtype: 'float32', shape: [texts.length, d], data };
  }

  async close(): Promise<void> {
    for (const compiled of [this.#trained, this.#used, this.#contrast, this.#mlm]) await compiled.close();
  }
}

const textsOf = (store: TokenStore) => Array.from({ length: store.count }, (_, i) => store.get(i));
const distinct = (items: Int32Array) => [...new Set(items)];
