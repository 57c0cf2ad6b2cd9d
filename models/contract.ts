import type { z } from 'zod';
import type { Dataset } from '../data/dataset.ts';
import type { Parameters, tf } from '../engine/index.ts';

/** Whether parts that act in training only (dropout, gate noise) are on. */
export interface Mode {
  training: boolean;
}

/** What a model is built for. */
export interface BuildContext {
  /** Number of items in the catalogue; item ids are 0..itemCount-1. */
  itemCount: number;
  /** Width of the frozen text vectors; 0 for a model that takes ids only. */
  textDims: number;
  /** Longest history, in items. */
  maxHistory: number;
  /** Where the model makes its variables; their names are those in the checkpoint. */
  parameters: Parameters;
}

/** Items, seen from a model: the whole catalogue or some rows of it. */
export interface Items {
  count: number;
  /** [count, textDims] frozen text vectors. */
  text: tf.Tensor2D;
  /** The rows of a table [itemCount, d] that belong to these items: the table itself for the whole catalogue. */
  rows(table: tf.Tensor2D): tf.Tensor2D;
}

/** Histories, oldest item first, filled up at the end: positions from `lengths` on are padding. */
export interface History {
  batch: number;
  length: number;
  /** [batch, length, d] the rows of `items()` of every position. */
  vectors: tf.Tensor3D;
  /** The history's items as a list of batch x length, for models with a tower of their own for histories. */
  items: Items;
  /** [batch] int32 number of items in each row. */
  lengths: tf.Tensor1D;
  /**
   * [batch] int32 flat positions (row x length + lengths - 1) of the last items, where only the vectors after those are
   * wanted; a model may then return [batch, 1, d]. Undefined where the vector after every position is wanted.
   */
  last?: tf.Tensor1D;
}

/** One batch as a model's own loss sees it: rows of a history and the item that followed. */
export interface LossBatch {
  history: History;
  /** The same histories with items or words dropped (see `augmentation`). */
  augmented: History;
  targets: Items;
  /** [batch] int32 ids of the targets. */
  targetIds: tf.Tensor1D;
  /** [batch] 1 / number of rows; 0 for rows that only fill the batch. */
  weight: tf.Tensor1D;
}

/** A recommender: how items become vectors, and how a history becomes one. */
export interface Recommender {
  /** [count, d] the vector of every item given: the candidates. */
  items(items: Items, mode: Mode): tf.Tensor2D;
  /** [batch, length, d] the vector after EVERY position; it must depend on no later position (causal). */
  sequence(history: History, mode: Mode): tf.Tensor3D;
  /** How vectors are compared: dot product (default) or cosine. */
  similarity?: 'dot' | 'cosine';
  /** Scores are divided by it before the softmax; 1 by default. */
  temperature?: number;
  /** A loss of the model's own (pre-training); by default softmax cross-entropy of sequence() against items(). */
  loss?(batch: LossBatch, mode: Mode): tf.Scalar;
  /** How `augmented` histories of an own loss are made: the share of items, or of the items' words, that are dropped. */
  augmentation?: { dropItems: number; dropWords: number };
}

/** A registered model: its name, what it needs of an item, its documented settings, and how it is built. */
export interface ModelDefinition<S extends z.ZodObject = z.ZodObject> {
  kind: 'trained';
  name: string;
  summary: string;
  /** What an item brings: its id, its text, or both. */
  input: 'id' | 'text' | 'both';
  config: S;
  build(config: z.output<S>, context: BuildContext): Recommender;
}

/** Declares a model that is trained by gradients. */
export function defineModel<S extends z.ZodObject>(
  definition: Omit<ModelDefinition<S>, 'kind'>,
): ModelDefinition<S> {
  return { ...definition, kind: 'trained' };
}

/** What a baseline counts: training rows, each a history (a slice of the pool) and the item that followed. */
export type TrainingRows = Pick<Dataset, 'itemCount' | 'pool' | 'train'>;

/** A recommender that was counted: scores that hold after any history, and those that a history changes. */
export interface CountedRecommender {
  /** [itemCount] the score of every item, whatever the history; higher is better. */
  base: Float32Array;
  /**
   * Overwrites the scores that a history changes, in a row that holds `base`. Without it, every history gets `base`.
   * @param history item ids, oldest first, all that the user did before
   * @param scores [itemCount]
   * @returns the items whose score was written, each once; the others need no second look
   */
  rescore?(history: Int32Array, scores: Float32Array): readonly number[];
}

/** A registered recommender without training. Every result shows all of them, with default settings, as yardsticks. */
export interface BaselineDefinition<S extends z.ZodObject = z.ZodObject> {
  kind: 'baseline';
  name: string;
  summary: string;
  input: 'id';
  config: S;
  /** Counts; it must not read the pool beyond the training rows' histories, where validation and test items lie. */
  fit(config: z.output<S>, rows: TrainingRows): CountedRecommender;
}

/** Declares a baseline. */
export function defineBaseline<S extends z.ZodObject>(
  definition: Omit<BaselineDefinition<S>, 'kind' | 'input'>,
): BaselineDefinition<S> {
  return { ...definition, kind: 'baseline', input: 'id' };
}

/** Whatever can be chosen by name for a run. */
export type Definition = ModelDefinition | BaselineDefinition;
