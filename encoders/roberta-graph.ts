import { toFloat16 } from '../common/half.ts';
import { ELEMENT_TYPE, Graph, type Parameters, transpose } from '../engine/index.ts';
import { type Quantisation, quantiseColumns } from './quantise.ts';
import type { Pooling, RobertaConfig } from './roberta-model.ts';

export interface RobertaGraphOptions {
  pooling: Pooling;
  normalize: 'none' | 'l2';
  /** Products in 8-bit integers; undefined for 32-bit floats. */
  quantisation?: Quantisation;
  /** Products of dense layers in 16-bit floats; sums, norms and attention stay in 32 bits. */
  half?: boolean;
  /** True takes padded texts with an attention mask; false texts of one length. */
  padded: boolean;
}

const MICROSOFT = 'com.microsoft';
/** Sizes that are known when the graph runs. */
const [BATCH, LENGTH] = [-1, -2];

/**
 * RoBERTa's forward pass for use, from token ids [batch, length] of any size to one vector a text: the function of
 * `poolTokens`, written straight in the operations that are fastest in onnxruntime, with the weights inside, so that it
 * lays them out for its kernels once.
 *
 * Inputs `input_ids` and, where texts are padded, `attention_mask`; output `embedding` [batch, hidden].
 */
export function robertaGraph(
  weights: Parameters,
  config: RobertaConfig,
  options: RobertaGraphOptions,
): Graph {
  const graph = new Graph();
  graph.input('input_ids', { dtype: 'int32', shape: [BATCH, LENGTH] });
  if (options.padded) graph.input('attention_mask', { dtype: 'int32', shape: [BATCH, LENGTH] });
  const builder = new Builder(graph, weights, config, options);
  const { hiddenSize } = config;
  graph.output('embedding', { dtype: 'float32', shape: [BATCH, hiddenSize] }, builder.embedding());
  graph.finish();
  return graph;
}

/** Emits the parts of the graph; texts named x are [batch x length, hidden]. */
class Builder {
  readonly #graph: Graph;
  readonly #weights: Parameters;
  readonly #config: RobertaConfig;
  readonly #options: RobertaGraphOptions;
  readonly #mask: string;
  /** The sizes [batch, length, hidden]. */
  #sizes = '';

  constructor(graph: Graph, weights: Parameters, config: RobertaConfig, options: RobertaGraphOptions) {
    this.#graph = graph;
    this.#weights = weights;
    this.#config = config;
    this.#options = options;
    // 32 bits, whatever the input has.
    this.#mask = options.padded ? graph.emit('Cast', ['attention_mask'], { to: ELEMENT_TYPE.int32 }) : '';
  }

  embedding(): string {
    const { layers } = this.#config;
    const { pooling, normalize } = this.#options;
    let x = this.#embedTokens();
    // Of the last layer, CLS vectors need the first position only.
    for (let i = 0; i < layers; i++)
      x = this.#layer(`encoder.layer.${i}`, x, pooling === 'cls' && i === layers - 1);
    const pooled = pooling === 'cls' ? x : this.#mean(this.#sequences(x));
    return normalize === 'l2' ? this.#unit(pooled) : pooled;
  }

  #constant(name: string): string {
    const { shape, values } = this.#weights.get(name);
    return this.#graph.constant('float32', shape, values);
  }

  /** Word + position + token type 0 -> LayerNorm. */
  #embedTokens(): string {
    const g = this.#graph;
    const words = g.emit('Gather', [this.#constant('embeddings.word_embeddings.weight'), 'input_ids']);
    this.#sizes = g.emit('Shape', [words]);
    const x = g.emit('Add', [words, this.#options.padded ? this.#paddedPositions() : this.#positions()]);
    return this.#norm('embeddings.LayerNorm', this.#flatten(x));
  }

  /** Position and token type 0, summed, from position `first` on: [positions, hidden]. */
  #positionTable(first: number): string {
    const { values, shape } = this.#weights.get('embeddings.position_embeddings.weight');
    const [positions, d] = shape;
    const type = this.#weights.get('embeddings.token_type_embeddings.weight').values;
    const table = values.subarray(first * d).map((x, i) => x + type[i % d]);
    return this.#graph.constant('float32', [positions - first, d], table);
  }

  /** The first token's position is padId + 1. */
  #positions(): string {
    const g = this.#graph;
    const length = g.emit('Shape', ['input_ids'], { start: 1, end: 2 });
    return g.emit('Slice', [this.#positionTable(this.#config.padId + 1), g.ints([0]), length, g.ints([0])]);
  }

  /** Only tokens count, and padding is at padId, wherever it stands. */
  #paddedPositions(): string {
    const g = this.#graph;
    const counted = g.emit('CumSum', [this.#mask, g.scalar(1, 'int32')]);
    const own = g.emit('Mul', [counted, this.#mask]);
    const places = g.emit('Add', [own, g.scalar(this.#config.padId, 'int32')]);
    return g.emit('Gather', [this.#positionTable(0), places]);
  }

  #norm(name: string, x: string): string {
    const inputs = [x, this.#constant(`${name}.weight`), this.#constant(`${name}.bias`)];
    return this.#graph.emit('LayerNormalization', inputs, {
      axis: -1,
      epsilon: { float: this.#config.epsilon },
    });
  }

  /** Dense layers of the same x: their products with W^T, W [out, in] as PyTorch keeps it, plus biases. */
  #dense(x: string, names: readonly string[]): string[] {
    const g = this.#graph;
    const { quantisation, half } = this.#options;
    if (half) return this.#denseInHalf(x, names);
    if (!quantisation)
      return names.map((name) =>
        g.emit('Gemm', [x, this.#constant(`${name}.weight`), this.#constant(`${name}.bias`)], { transB: 1 }),
      );
    // One scale for all of x, one a column of each weight.
    const [bytes, scale, zero] = g.emitMany('DynamicQuantizeLinear', 3, [x]);
    return names.map((name) => {
      const { shape, values } = this.#weights.get(`${name}.weight`);
      const { integers, scales } = quantiseColumns(transpose(values, shape), shape[0], quantisation);
      const weight = g.constant('int8', [shape[1], shape[0]], integers);
      const weightScale = g.constant('float32', [shape[0]], scales);
      const inputs = [bytes, weight, scale, weightScale, zero, '', this.#constant(`${name}.bias`)];
      return g.emit('MatMulIntegerToFloat', inputs, {}, MICROSOFT);
    });
  }

  #denseInHalf(x: string, names: readonly string[]): string[] {
    const g = this.#graph;
    const halves = g.emit('Cast', [x], { to: ELEMENT_TYPE.float16 });
    return names.map((name) => {
      const { shape, values } = this.#weights.get(`${name}.weight`);
      const weight = g.constant('float16', [shape[1], shape[0]], toFloat16(transpose(values, shape)));
      const product = g.emit('Cast', [g.emit('MatMul', [halves, weight])], { to: ELEMENT_TYPE.float32 });
      return g.emit('Add', [product, this.#constant(`${name}.bias`)]);
    });
  }

  /** Self-attention and feed-forward, each with residual and LayerNorm after it. */
  #layer(name: string, x: string, firstOnly: boolean): string {
    const g = this.#graph;
    const self = `${name}.attention.self`;
    const residual = firstOnly ? this.#flatten(this.#firsts(this.#sequences(x))) : x;
    const [query, key, value] = firstOnly
      ? [...this.#dense(residual, [`${self}.query`]), ...this.#dense(x, [`${self}.key`, `${self}.value`])]
      : this.#dense(x, [`${self}.query`, `${self}.key`, `${self}.value`]);
    const asked = firstOnly
      ? g.emit('Reshape', [query, g.ints([-1, 1, this.#config.hiddenSize])])
      : this.#sequences(query);
    const mask = this.#options.padded ? ['', this.#mask] : [];
    const inputs = [asked, this.#sequences(key), this.#sequences(value), ...mask];
    const { heads, hiddenSize } = this.#config;
    const attributes = { num_heads: heads, scale: { float: 1 / Math.sqrt(hiddenSize / heads) } };
    const mixed = g.emit('MultiHeadAttention', inputs, attributes, MICROSOFT);
    const [attended] = this.#dense(this.#flatten(mixed), [`${name}.attention.output.dense`]);
    const y = this.#norm(`${name}.attention.output.LayerNorm`, g.emit('Add', [attended, residual]));
    const [inner] = this.#dense(y, [`${name}.intermediate.dense`]);
    const [outer] = this.#dense(g.emit('Gelu', [inner]), [`${name}.output.dense`]);
    return this.#norm(`${name}.output.LayerNorm`, g.emit('Add', [outer, y]));
  }

  /** [batch, length, hidden] -> [batch x length, hidden] */
  #flatten(x: string): string {
    return this.#graph.emit('Reshape', [x, this.#graph.ints([-1, this.#config.hiddenSize])]);
  }

  /** [batch x length, hidden] -> [batch, length, hidden] */
  #sequences(x: string): string {
    return this.#graph.emit('Reshape', [x, this.#sizes]);
  }

  /** [batch, length, hidden] -> [batch, 1, hidden] */
  #firsts(x: string): string {
    const g = this.#graph;
    return g.emit('Slice', [x, g.ints([0]), g.ints([1]), g.ints([1])]);
  }

  /** Mean over a text's tokens, of [batch, length, hidden]. */
  #mean(x: string): string {
    const g = this.#graph;
    const axis = g.ints([1]);
    if (!this.#options.padded) return g.emit('ReduceMean', [x, axis], { keepdims: 0 });
    const mask = g.emit('Cast', [g.emit('Unsqueeze', [this.#mask, g.ints([2])])], {
      to: ELEMENT_TYPE.float32,
    });
    const sum = g.emit('ReduceSum', [g.emit('Mul', [x, mask]), axis], { keepdims: 0 });
    const count = g.emit('ReduceSum', [mask, axis], { keepdims: 0 });
    return g.emit('Div', [sum, g.emit('Max', [count, g.scalar(1)])]);
  }

  /** Rows of length one. */
  #unit(x: string): string {
    const g = this.#graph;
    const length = g.emit('ReduceL2', [x, g.ints([1])]);
    return g.emit('Div', [x, g.emit('Max', [length, g.scalar(1e-6)])]);
  }
}
