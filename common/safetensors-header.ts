import type { UserError } from './errors.ts';

/** The element types that can be read, and the array that holds their values. */
export const dtypes = {
  F64: Float64Array,
  F32: Float32Array,
  F16: Uint16Array,
  BF16: Uint16Array,
  I64: BigInt64Array,
  U64: BigUint64Array,
  I32: Int32Array,
  U32: Uint32Array,
  I16: Int16Array,
  U16: Uint16Array,
  I8: Int8Array,
  U8: Uint8Array,
  BOOL: Uint8Array,
} as const;

export type DType = keyof typeof dtypes;

/** One tensor as the header describes it; `start` and `end` are byte offsets after the header. */
export interface Entry {
  name: string;
  dtype: DType;
  shape: readonly number[];
  start: number;
  end: number;
}

/**
 * Checks a header (JSON text) against the rules of the format: known dtypes, sizes that fit shape and dtype, no name
 * twice, and offsets that cover all `dataBytes` bytes once, without overlap or hole.
 */
export function checkHeader(
  text: string,
  dataBytes: number,
  fail: (problem: string) => UserError,
): { entries: Entry[]; metadata: Record<string, string> } {
  const header: unknown = JSON.parse(text);
  if (!isObject(header)) throw fail('its header is not a JSON object');
  const twice = duplicateKey(text);
  if (twice !== undefined) throw fail(`its header has the key '${twice}' twice`);
  const { __metadata__: metadata = {}, ...described } = header;
  if (!isObject(metadata) || Object.values(metadata).some((v) => typeof v !== 'string'))
    throw fail('__metadata__ is not an object of strings');
  const entries = Object.entries(described).map(([name, value]) => checkEntry(name, value, dataBytes, fail));
  entries.sort((a, b) => a.start - b.start || a.end - b.end);
  checkCover(entries, dataBytes, fail);
  return { entries, metadata: metadata as Record<string, string> };
}

function checkEntry(
  name: string,
  value: unknown,
  dataBytes: number,
  fail: (problem: string) => UserError,
): Entry {
  const broken = (problem: string): UserError => fail(`tensor '${name}': ${problem}`);
  if (!isObject(value)) throw broken('its description is not an object');
  const { dtype, shape, data_offsets: offsets } = value;
  if (typeof dtype !== 'string' || !Object.hasOwn(dtypes, dtype))
    throw broken(
      `unknown dtype ${JSON.stringify(dtype)}. Must be one of [${Object.keys(dtypes).join(', ')}]`,
    );
  if (!isCounts(shape)) throw broken(`its shape ${JSON.stringify(shape)} is not a list of whole numbers`);
  if (!isCounts(offsets) || offsets.length !== 2)
    throw broken(`its data_offsets ${JSON.stringify(offsets)} are not two whole numbers`);
  const [start, end] = offsets;
  if (start > end || end > dataBytes)
    throw broken(`its data_offsets [${start}, ${end}] lie outside of the ${dataBytes} bytes of data`);
  const bytes = shape.reduce((product, n) => product * n, dtypes[dtype as DType].BYTES_PER_ELEMENT);
  if (bytes !== end - start)
    throw broken(`${dtype} [${shape.join(', ')}] takes ${bytes} bytes, its data_offsets give ${end - start}`);
  return { name, dtype: dtype as DType, shape, start, end };
}

/** Entries in order of their offsets must follow one another from the first byte of data to the last. */
function checkCover(
  entries: readonly Entry[],
  dataBytes: number,
  fail: (problem: string) => UserError,
): void {
  let covered = 0;
  let previous = 'the header';
  for (const { name, start, end } of entries) {
    if (start < covered) throw fail(`tensor '${name}' overlaps '${previous}' (byte ${start} of the data)`);
    if (start > covered)
      throw fail(`bytes ${covered} to ${start} of the data, before tensor '${name}', belong to no tensor`);
    covered = end;
    previous = name;
  }
  if (covered !== dataBytes)
    throw fail(`bytes ${covered} to ${dataBytes} at the end of the data belong to no tensor`);
}

/** A key that some object of this valid JSON text has twice (JSON.parse would keep the last in silence). */
function duplicateKey(text: string): string | undefined {
  const open: Set<string>[] = [];
  for (const [token, colon] of text.matchAll(/"(?:[^"\\]|\\.)*"(\s*:)?|[{}]/g)) {
    if (token === '{') open.push(new Set());
    else if (token === '}') open.pop();
    else if (colon) {
      const key = JSON.parse(token.slice(0, -colon.length)) as string;
      const seen = open.at(-1)!;
      if (seen.has(key)) return key;
      seen.add(key);
    }
  }
  return undefined;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isCounts(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((n) => Number.isSafeInteger(n) && n >= 0);
}
