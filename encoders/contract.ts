import type { z } from 'zod';
import type { Progress } from '../common/progress.ts';

/** What an encoder needs to know besides its own configuration. */
export interface EncoderContext {
  seed: number;
  threads: number;
  progress: Progress;
  /** A ready-made matrix beside the dataset, for encoders that read one. */
  featureFile?: { path: string; dims: number };
}

/** An encoder made ready: its weights are found and read, it can embed texts. */
export interface TextEncoder {
  /** Width of a vector. */
  dims: number;
  /** Hash of all that decides the vectors except the texts: weights, pooling, length, settings. */
  fingerprint: string;
  /**
   * Embeds texts in order, handing over blocks of rows as they are ready: `onRows(first, values)` with values
   * [n, dims]. `from` rows are already at hand (a resumed job) and are skipped.
   */
  embed(texts: readonly string[], onRows: (first: number, values: Float32Array) => Promise<void>, from?: number): Promise<void>;
  /** False where a vector depends on the other texts too (an encoder fitted on the corpus). */
  independentRows: boolean;
  close(): Promise<void>;
}

/** A family of encoders, as registered: name, documented parameters, and how to make one ready. */
export interface EncoderDefinition<S extends z.ZodObject = z.ZodObject> {
  name: string;
  summary: string;
  config: S;
  open(config: z.output<S>, context: EncoderContext): Promise<TextEncoder>;
}

/** Declares an encoder; the identity function, for the types. */
export function defineEncoder<S extends z.ZodObject>(definition: EncoderDefinition<S>): EncoderDefinition<S> {
  return definition;
}

/** Frozen text vectors, one row an item. */
export interface TextVectors {
  rows: number;
  dims: number;
  /** [rows * dims], row-major. */
  values: Float32Array;
  /** Name shown in results: 'lsa', 'blair-base', 'file:games.feature'. */
  name: string;
  hash: string;
}
