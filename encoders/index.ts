import { unknownName } from '../common/errors.ts';
import type { HubNeed } from '../hub/index.ts';
import type { EncoderDefinition } from './contract.ts';
import file from './feature-file.ts';
import lsa from './lsa.ts';
import random from './random.ts';
import roberta from './roberta.ts';

/** Every registered family of encoders. A new one is a file beside these, and a line here. */
const registered = [lsa, roberta, file, random] as unknown as EncoderDefinition[];

export const encoders = {
  all: (): readonly EncoderDefinition[] => registered,
  names: (): string[] => registered.map((encoder) => encoder.name),
  /** @throws UsageError that names the nearest registered family. */
  get(name: string): EncoderDefinition {
    const found = registered.find((encoder) => encoder.name === name);
    if (!found) throw unknownName('encoder', name, encoders.names(), '--encoder');
    return found;
  },
};

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
  openForQueries,
  type PlaceRow,
  type QueryEncoder,
} from './embed.ts';
export { writeFeature } from './feature-file.ts';
