import { Registry } from '../common/registry.ts';
import type { HubNeed } from '../hub/index.ts';
import type { EncoderDefinition } from './contract.ts';
import file from './feature-file.ts';
import lsa from './lsa.ts';
import random from './random.ts';
import roberta from './roberta.ts';

/** Every family of encoders. A new one is a file beside these, and a name here. */
export const encoders = new Registry('encoder', [
  lsa,
  roberta,
  file,
  random,
] as unknown as EncoderDefinition[]);

/** What is to be downloaded before an encoder can be opened; undefined where nothing is. */
export async function missingWeights(
  entry: EncoderDefinition,
  settings: Record<string, unknown>,
): Promise<HubNeed | undefined> {
  const status = await entry.weights?.(settings);
  return status?.atHand === false ? entry.onHub?.(settings) : undefined;
}

export type {
  EncoderContext,
  EncoderDefinition,
  TextEncoder,
  TextVectors,
  WeightsStatus,
} from './contract.ts';
export { defineEncoder } from './contract.ts';
export {
  type EmbedJob,
  embedRows,
  embedTexts,
  missingShards,
  openForQueries,
  type PlaceRow,
  type QueryEncoder,
} from './embed.ts';
export { writeFeature } from './feature-file.ts';
export { openEncoder } from './open.ts';
