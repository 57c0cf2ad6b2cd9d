import type { FileHandle } from 'node:fs/promises';
import { UserError } from './errors.ts';
import { halfTable } from './half.ts';
import { type DType, dtypes } from './safetensors-header.ts';

const blockBytes = 8 << 20;

/**
 * Values of one tensor, row-major. F16 and BF16 are kept as their 16 raw bits (Uint16Array) unless converted, BOOL as
 * 0 and 1.
 */
export type TensorValues =
  | Float64Array
  | Float32Array
  | BigInt64Array
  | BigUint64Array
  | Int32Array
  | Uint32Array
  | Int16Array
  | Uint16Array
  | Int8Array
  | Uint8Array;

/**
 * Reads `count` values that lie one after the other in a file, from byte `at` on.
 * @param float32 converts F16, BF16 and F64 to F32 block by block, without holding both forms
 */
export async function readValues(
  file: FileHandle,
  path: string,
  dtype: DType,
  at: number,
  count: number,
  float32 = false,
): Promise<{ dtype: DType; data: TensorValues }> {
  const width = dtypes[dtype].BYTES_PER_ELEMENT;
  if (!float32 || !['F16', 'BF16', 'F64'].includes(dtype)) {
    const bytes = new Uint8Array(count * width);
    await readFully(file, path, bytes, at);
    return { dtype, data: new dtypes[dtype](bytes.buffer) };
  }
  const data = new Float32Array(count);
  for (let done = 0; done < count * width; done += blockBytes) {
    const block = new Uint8Array(Math.min(blockBytes, count * width - done));
    await readFully(file, path, block, at + done);
    convertInto(data, done / width, dtype, new dtypes[dtype](block.buffer), path);
  }
  return { dtype: 'F32', data };
}

/** Fills `bytes` from position `at`, in pieces, as one read may not exceed 2 GiB. */
export async function readFully(
  file: FileHandle,
  path: string,
  bytes: Uint8Array,
  at: number,
): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    const { bytesRead } = await file.read(bytes, done, Math.min(bytes.length - done, 1 << 28), at + done);
    if (!bytesRead) throw new UserError(`${path}: ended at byte ${at + done} while it was read`);
    done += bytesRead;
  }
}

export function convertInto(
  out: Float32Array,
  first: number,
  dtype: DType,
  values: TensorValues,
  name: string,
): void {
  if (dtype === 'F32' || dtype === 'F64') out.set(values as Float64Array, first);
  else if (dtype === 'F16') {
    const table = halfTable();
    for (let i = 0; i < values.length; i++) out[first + i] = table[values[i] as number];
  } else if (dtype === 'BF16') {
    const bits = new Uint32Array(out.buffer, out.byteOffset, out.length);
    for (let i = 0; i < values.length; i++) bits[first + i] = (values[i] as number) << 16;
  } else throw new UserError(`${name} holds ${dtype}, floating-point numbers were expected`);
}
