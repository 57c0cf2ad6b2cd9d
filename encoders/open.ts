import { UserError } from '../common/errors.ts';
import { blamePlugin } from '../engine/plugin-code.ts';
import type { EncoderContext, EncoderDefinition, TextEncoder } from './contract.ts';

const dependencies: readonly unknown[] = ['text', 'corpus', 'position'];

/**
 * Opens an encoder that is held to its contract: whoever receives its rows gets every one, once, in order and finite.
 * @param name as shown in errors
 * @throws UserError, as do its methods, where the contract is broken or a plugin's code fails
 */
export async function openEncoder(
  definition: EncoderDefinition,
  name: string,
  settings: Record<string, unknown>,
  context: EncoderContext,
): Promise<TextEncoder> {
  const own = async <T>(part: string, run: () => Promise<T>): Promise<T> => {
    try {
      return await run();
    } catch (error) {
      throw blamePlugin(definition, `encoder ${name}: ${part}`, error);
    }
  };
  const encoder = await own('open()', () => definition.open(settings, context));
  const { dims, fingerprint, rowsDependOn } = encoder;
  const refuse = (what: string): never => {
    throw new UserError(`encoder ${name}: ${what}`);
  };
  if (!Number.isInteger(dims) || dims <= 0) refuse(`dims is ${dims}; it must be the width of a vector`);
  if (!dependencies.includes(rowsDependOn))
    refuse(`rowsDependOn is '${rowsDependOn}'; it must be one of [${dependencies.join(', ')}]`);
  return {
    dims,
    fingerprint,
    rowsDependOn,
    async embed(texts, onRows) {
      const textOf = (row: number) => (rowsDependOn === 'position' ? undefined : texts.at(row));
      let next = 0;
      const receive = async (first: number, block: Float32Array) => {
        if (!(block instanceof Float32Array))
          refuse('embed() handed over something else than a Float32Array of values');
        if (first !== next) refuse(`embed() handed over rows from ${first} on where row ${next} was next`);
        if (block.length % dims)
          refuse(`embed() handed over ${block.length} values, which are no rows of ${dims}`);
        next += block.length / dims;
        if (next > texts.length) refuse(`embed() handed over more rows than the ${texts.length} texts`);
        refuseNotFinite(block, dims, name, first, textOf);
        await onRows(first, block);
      };
      await own('embed()', () => encoder.embed(texts, receive));
      if (next !== texts.length) refuse(`embed() handed over ${next} rows for ${texts.length} texts`);
    },
    ...(encoder.fit && { fit: (corpus) => own('fit()', () => encoder.fit!(corpus)) }),
    close: () => encoder.close(),
  };
}

/** @param textOf the text of a row; undefined where rows have none */
function refuseNotFinite(
  block: Float32Array,
  dims: number,
  name: string,
  first: number,
  textOf: (row: number) => string | undefined,
): void {
  const bad = findNotFinite(block);
  if (bad < 0) return;
  const row = first + Math.floor(bad / dims);
  const text = textOf(row);
  throw new UserError(
    text === undefined
      ? `${name}: row ${row}, column ${bad % dims} (both from 0) is ${block[bad]}, not a number`
      : `${name} gave ${block[bad]} in column ${bad % dims} of the vector of '${text.slice(0, 60)}'; are its weights intact?`,
  );
}

/** Index of the first NaN or infinity; -1 where there is none. */
function findNotFinite(values: Float32Array): number {
  for (let i = 0; i < values.length; i++) if (!Number.isFinite(values[i])) return i;
  return -1;
}
