import type { FileHandle } from 'node:fs/promises';
import { messageOf, nearest, UserError } from './errors.ts';
import { withFile, writeFileAtomic } from './files.ts';
import { checkHeader, type DType, dtypes, type Entry } from './safetensors-header.ts';
import { convertInto, readFully, readValues, type TensorValues } from './tensor-values.ts';

export type { TensorValues };

export interface Tensor {
  dtype: DType;
  shape: readonly number[];
  data: TensorValues;
}

/** What a .safetensors file holds; `path` is kept for messages. */
export interface Safetensors {
  path: string;
  tensors: Map<string, Tensor>;
  metadata: Record<string, string>;
}

export interface ReadOptions {
  /** Which tensors to read; all by default. Those left out cost neither time nor memory. */
  only?: (name: string) => boolean;
  /** Converts F16, BF16 and F64 to F32 while reading, without holding both forms. */
  float32?: boolean;
}

/** A header longer than this is refused, as by the format's reference implementation. */
const maxHeaderBytes = 100_000_000;

/**
 * Reads a .safetensors file, tensor by tensor, each straight into its own typed array. Everything that the header
 * claims is checked before anything is allocated for it.
 * @throws UserError naming the file, the tensor and the problem.
 */
export async function readSafetensors(path: string, options: ReadOptions = {}): Promise<Safetensors> {
  return withFile(path, async (file) => {
    const { entries, metadata, dataStart } = await readHeader(file, path);
    const tensors = new Map<string, Tensor>();
    for (const entry of entries) {
      if (options.only && !options.only(entry.name)) continue;
      const at = dataStart + entry.start;
      const count = (entry.end - entry.start) / dtypes[entry.dtype].BYTES_PER_ELEMENT;
      const values = await readValues(file, path, entry.dtype, at, count, options.float32);
      tensors.set(entry.name, { ...values, shape: entry.shape });
    }
    return { path, tensors, metadata };
  });
}

/** Names, dtypes and shapes of a .safetensors file, without its values. */
export async function readSafetensorsHeader(
  path: string,
): Promise<{ entries: Entry[]; metadata: Record<string, string> }> {
  return withFile(path, (file) => readHeader(file, path));
}

/**
 * The tensor of that name, and of that shape where one is given.
 * @throws UserError naming the file, the tensor, and the nearest name or the shape found.
 */
export function requireTensor(file: Safetensors, name: string, shape?: readonly number[]): Tensor {
  const tensor = file.tensors.get(name);
  if (!tensor) {
    const hint = nearest(name, [...file.tensors.keys()]);
    throw new UserError(
      `${file.path}: tensor '${name}' is missing${hint ? `; the nearest is '${hint}'` : ''}`,
    );
  }
  if (shape && (shape.length !== tensor.shape.length || shape.some((n, i) => n !== tensor.shape[i])))
    throw new UserError(
      `${file.path}: tensor '${name}' has shape [${tensor.shape.join(', ')}], expected [${shape.join(', ')}]`,
    );
  return tensor;
}

/**
 * A floating-point tensor's values as 32-bit floats; F32 is returned as it is, not copied.
 * @throws UserError for dtypes that are no floats.
 */
export function asFloat32(tensor: Tensor, name = 'tensor'): Float32Array {
  if (tensor.data instanceof Float32Array) return tensor.data;
  const out = new Float32Array(tensor.data.length);
  convertInto(out, 0, tensor.dtype, tensor.data, name);
  return out;
}

/**
 * Writes tensors in the order given, atomically: a reader finds the old file, the new one, or none.
 * @throws RangeError where a tensor's data contradict its dtype or shape, or two share a name (the caller's mistake).
 */
export async function writeSafetensors(
  path: string,
  tensors: Iterable<readonly [string, Tensor]>,
  metadata: Record<string, string> = {},
): Promise<void> {
  const list = [...tensors];
  for (const [name, { dtype, shape, data }] of list)
    if (!(data instanceof dtypes[dtype]) || data.length !== sizeOf(shape))
      throw new RangeError(
        `tensor '${name}': ${data.length} values do not make ${dtype} [${shape.join(', ')}]`,
      );
  const parts = list.map(([, { data }]) => new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
  await writeFileAtomic(path, [layOut(list, metadata).header, ...parts]);
}

/** Where tensors lie in a .safetensors file, one after the other in the order given. */
export interface TensorLayout {
  /** The bytes that the file begins with. */
  header: Buffer;
  /** Position in the file of every tensor's first byte. */
  start: Map<string, number>;
}

/**
 * Lays out a .safetensors file whose values are yet to come.
 * @throws RangeError where two tensors share a name (the caller's mistake).
 */
export function layOut(
  tensors: Iterable<readonly [string, Pick<Tensor, 'dtype' | 'shape'>]>,
  metadata: Record<string, string> = {},
): TensorLayout {
  const header = new Map<string, unknown>();
  if (Object.keys(metadata).length) header.set('__metadata__', metadata);
  const start = new Map<string, number>();
  let end = 0;
  for (const [name, { dtype, shape }] of tensors) {
    if (header.has(name) || name === '__metadata__') throw new RangeError(`tensor name '${name}' is taken`);
    start.set(name, end);
    const first = end;
    end += sizeOf(shape) * dtypes[dtype].BYTES_PER_ELEMENT;
    header.set(name, { dtype, shape, data_offsets: [first, end] });
  }
  const json = Buffer.from(JSON.stringify(Object.fromEntries(header)), 'utf8');
  const bytes = Buffer.alloc(8 + Math.ceil(json.length / 8) * 8, ' ');
  bytes.writeBigUInt64LE(BigInt(bytes.length - 8));
  json.copy(bytes, 8);
  for (const [name, at] of start) start.set(name, bytes.length + at);
  return { header: bytes, start };
}

function sizeOf(shape: readonly number[]): number {
  return shape.reduce((product, n) => product * n, 1);
}

async function readHeader(file: FileHandle, path: string) {
  const fail = (problem: string): UserError =>
    new UserError(`${path}: not a valid safetensors file: ${problem}`);
  const { size } = await file.stat();
  if (size < 8) throw fail(`${size} bytes are too few for a header`);
  const prefix = new Uint8Array(8);
  await readFully(file, path, prefix, 0);
  const length = new DataView(prefix.buffer).getBigUint64(0, true);
  if (length > BigInt(size - 8)) throw fail(`its header claims ${length} bytes, the file has ${size}`);
  if (length > BigInt(maxHeaderBytes))
    throw fail(`its header claims ${length} bytes, at most ${maxHeaderBytes} are allowed`);
  const bytes = new Uint8Array(Number(length));
  await readFully(file, path, bytes, 8);
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
    JSON.parse(text);
  } catch (error) {
    throw fail(`its header is not JSON: ${messageOf(error)}`);
  }
  const dataStart = 8 + bytes.length;
  return { ...checkHeader(text, size - dataStart, fail), dataStart };
}
