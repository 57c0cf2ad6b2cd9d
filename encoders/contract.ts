import type { z } from 'zod';
import type { Progress } from '../common/progress.ts';
import type { Texts } from '../common/texts.ts';
import type { Device } from '../engine/index.ts';
import type { HubNeed } from '../hub/index.ts';

/** What an encoder needs to know besides its own configuration. */
export interface EncoderContext {
  seed: number;
  /** 0: as many as the machine has cores. */
  threads: number;
  progress: Progress;
  /** Where to compute; by default the processor. */
  device?: Device;
  /** How many vectors will be wanted, where that is known. */
  rows?: number;
  /** A ready-made matrix beside the dataset, for encoders that read one. */
  featureFile?: { path: string; dims: number };
}

/** An encoder made ready: its weights are found, it can embed texts. */
export interface TextEncoder {
  /** Width of a vector. */
  dims: number;
  /** Hash of all that decides the vectors except the texts: weights, pooling, length, settings. */
  fingerprint: string;
  /**
   * What decides a row: its own text, the whole corpus (an encoder fitted to it), or only its position (a ready-made
   * matrix, for which texts are not looked at).
   */
  rowsDependOn: 'text' | 'corpus' | 'position';
  /**
   * Embeds texts in order, handing over consecutive blocks of rows as they are ready: `onRows(first, values)` with
   * values [n, dims], which are the receiver's only until it returns.
   */
  embed(texts: Texts, onRows: (first: number, values: Float32Array) => Promise<void>): Promise<void>;
  /** Of an encoder fitted to a corpus: fits it to this one, so that `embed` takes texts from outside. */
  fit?(corpus: Texts): Promise<void>;
  close(): Promise<void>;
}

/** Whether what an encoder reads is on this machine. */
export interface WeightsStatus {
  atHand: boolean;
  /** The folder or file found, or what to get and where to put it. */
  where: string;
}

/** A family of encoders, as registered: name, documented parameters, and how to make one ready. */
export interface EncoderDefinition<S extends z.ZodObject = z.ZodObject> {
  name: string;
  summary: string;
  config: S;
  open(config: z.output<S>, context: EncoderContext): Promise<TextEncoder>;
  /** Where the weights would be read from; left out by families that read none. */
  weights?(config: z.output<S>): Promise<WeightsStatus>;
  /** The files of the weights on the hub; undefined where the settings name a folder. */
  onHub?(config: z.output<S>): Promise<HubNeed | undefined>;
  /** Writes the encoder to a new folder, in formats of other programs; left out by families that have none. */
  export?(config: z.output<S>, folder: string, progress: Progress): Promise<ExportedEncoder>;
}

/** What an export wrote. */
export interface ExportedEncoder {
  folder: string;
  files: { file: string; bytes: number }[];
  /** Least cosine between vectors by what was written and by the encoder itself. */
  agreement: number;
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
  /** As the encoder said: whether other texts may be embedded beside these. */
  rowsDependOn: TextEncoder['rowsDependOn'];
}
