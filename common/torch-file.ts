import type { FileHandle } from 'node:fs/promises';
import yauzl from 'yauzl';
import { messageOf, UserError } from './errors.ts';
import { withFile } from './files.ts';
import type { ReadOptions, Safetensors, Tensor } from './safetensors.ts';
import { dtypes } from './safetensors-header.ts';
import { readFully, readValues, type TensorValues } from './tensor-values.ts';
import { type TorchStorage, TorchTensor, unpickleTensors } from './torch-pickle.ts';

/** A pickle longer than this is refused: it describes tensors, their values lie outside of it. */
const maxPickleBytes = 16 << 20;
/** What the older format begins with, as torch/serialization.py has it. */
const legacyMagic = 0x1950a86a20f9469cfc6cn;
const legacyProtocol = 1001;

type Fail = (problem: string) => UserError;

/** A file's tensors, and the position of each storage's first byte. */
interface Contents {
  tensors: Map<string, TorchTensor>;
  locate(storage: TorchStorage): Promise<number>;
}

/**
 * Reads the tensors of a file written by torch.save (pytorch_model.bin), of the format since PyTorch 1.6 (zip) or of the
 * one before. Its pickle is read by `unpickleTensors`, which runs no code of the file's; what it claims of sizes is held
 * against the file before anything is allocated.
 * @throws UserError naming the file and the problem.
 */
export async function readTorchFile(path: string, options: ReadOptions = {}): Promise<Safetensors> {
  return withContents(path, async (file, contents) => {
    const tensors = new Map<string, Tensor>();
    for (const [name, tensor] of contents.tensors)
      if (!options.only || options.only(name))
        tensors.set(name, await readTensor(file, path, tensor, contents, options.float32));
    return { path, tensors, metadata: {} };
  });
}

/** Names of the tensors in a file written by torch.save, without their values. */
export async function readTorchNames(path: string): Promise<string[]> {
  return withContents(path, async (_, { tensors }) => [...tensors.keys()]);
}

async function withContents<T>(
  path: string,
  use: (file: FileHandle, contents: Contents) => Promise<T>,
): Promise<T> {
  const fail: Fail = (problem) => new UserError(`${path}: not a usable file of PyTorch's: ${problem}`);
  return withFile(path, async (file) => {
    const { size } = await file.stat();
    const start = new Uint8Array(Math.min(4, size));
    await readFully(file, path, start, 0);
    if (start[0] === 0x80) return use(file, await openLegacy(file, path, size, fail));
    if (Buffer.from(start).toString('latin1') !== 'PK\x03\x04')
      throw fail('it begins neither like a zip archive nor like a pickle');
    const zip = await yauzl.openPromise(path, { autoClose: false }).catch((error) => {
      throw fail(messageOf(error));
    });
    try {
      return await use(file, await openZip(zip, file, path, fail));
    } finally {
      zip.close();
    }
  });
}

async function openZip(zip: yauzl.ZipFile, file: FileHandle, path: string, fail: Fail): Promise<Contents> {
  const entries = new Map<string, yauzl.Entry>();
  try {
    for await (const entry of zip.eachEntry()) entries.set(entry.fileName, entry);
  } catch (error) {
    throw fail(messageOf(error));
  }
  const pickle = [...entries.keys()].find((name) => /^[^/]+\/data\.pkl$/.test(name));
  if (!pickle) throw fail('the archive has no data.pkl');
  const folder = pickle.slice(0, -'data.pkl'.length);
  /** Position of an entry's bytes, which torch.save never compresses. */
  const locate = async (name: string, bytes?: number): Promise<{ at: number; length: number }> => {
    const entry = entries.get(folder + name);
    if (!entry) throw fail(`the archive has no ${folder}${name}`);
    if (
      entry.compressionMethod !== 0 ||
      entry.isEncrypted() ||
      entry.compressedSize !== entry.uncompressedSize
    )
      throw fail(`${entry.fileName} is compressed or encrypted`);
    if (bytes !== undefined && entry.uncompressedSize !== bytes)
      throw fail(`${entry.fileName} has ${entry.uncompressedSize} bytes, its description says ${bytes}`);
    const { fileDataStart } = await zip
      .readLocalFileHeaderPromise(entry, { minimal: true })
      .catch((error) => {
        throw fail(messageOf(error));
      });
    return { at: fileDataStart, length: entry.uncompressedSize };
  };
  const read = async (name: string) => {
    const { at, length } = await locate(name);
    if (length > maxPickleBytes) throw fail(`${folder}${name} has ${length} bytes`);
    const bytes = new Uint8Array(length);
    await readFully(file, path, bytes, at);
    return bytes;
  };
  if (entries.has(`${folder}byteorder`)) {
    const order = Buffer.from(await read('byteorder')).toString();
    if (order !== 'little') throw fail(`its byte order is ${JSON.stringify(order)}, only little is read`);
  }
  const { value } = unpickleTensors(await read('data.pkl'), 0, fail);
  return {
    tensors: stateDictionary(value, fail),
    locate: async (storage) => (await locate(`data/${storage.key}`, bytesOf(storage))).at,
  };
}

/** Five pickles one after the other (magic, protocol, system, state dictionary, keys), then every storage's count and values. */
async function openLegacy(file: FileHandle, path: string, size: number, fail: Fail): Promise<Contents> {
  const bytes = new Uint8Array(Math.min(size, maxPickleBytes));
  await readFully(file, path, bytes, 0);
  let at = 0;
  const next = (): unknown => {
    const { value, end } = unpickleTensors(bytes, at, fail);
    at = end;
    return value;
  };
  if (next() !== legacyMagic) throw fail('it does not begin with the magic number of torch.save');
  if (next() !== legacyProtocol) throw fail('its protocol is not 1001');
  const system = next();
  if (!(system instanceof Map) || system.get('little_endian') !== true)
    throw fail('its byte order is not little-endian');
  const tensors = stateDictionary(next(), fail);
  const keys = next();
  const storages = new Map([...tensors.values()].map(({ storage }) => [storage.key, storage]));
  if (
    !Array.isArray(keys) ||
    keys.length !== storages.size ||
    !keys.every((key) => storages.has(key)) ||
    new Set(keys).size !== keys.length
  )
    throw fail('the storages that it lists are not those of its tensors');
  const starts = new Map<string, number>();
  for (const key of keys as string[]) {
    const storage = storages.get(key)!;
    const count = new BigInt64Array(1);
    await readFully(file, path, new Uint8Array(count.buffer), at);
    if (count[0] !== BigInt(storage.elements))
      throw fail(`a storage has ${count[0]} elements, its description says ${storage.elements}`);
    starts.set(key, at + 8);
    at += 8 + bytesOf(storage);
    if (at > size) throw fail(`it has ${size} bytes, its tensors take more`);
  }
  return { tensors, locate: async ({ key }) => starts.get(key)! };
}

function bytesOf({ dtype, elements }: TorchStorage): number {
  return elements * dtypes[dtype].BYTES_PER_ELEMENT;
}

/** The tensors of a dictionary of tensors; what else it may hold (numbers, texts) is no business of ours. */
function stateDictionary(value: unknown, fail: Fail): Map<string, TorchTensor> {
  if (!(value instanceof Map)) throw fail('it holds no dictionary of tensors');
  const tensors = new Map<string, TorchTensor>();
  for (const [name, tensor] of value)
    if (typeof name === 'string' && tensor instanceof TorchTensor) tensors.set(name, tensor);
  if (!tensors.size) throw fail(`no tensors in its dictionary of ${value.size} entries`);
  return tensors;
}

async function readTensor(
  file: FileHandle,
  path: string,
  { storage, offset, shape, strides }: TorchTensor,
  contents: Contents,
  float32?: boolean,
): Promise<Tensor> {
  const start = await contents.locate(storage);
  const size = shape.reduce((product, n) => product * n, 1);
  const span = size ? shape.reduce((sum, n, i) => sum + (n - 1) * strides[i], 1) : 0;
  const at = start + offset * dtypes[storage.dtype].BYTES_PER_ELEMENT;
  const { dtype, data } = await readValues(file, path, storage.dtype, at, span, float32);
  return { dtype, shape, data: isContiguous(shape, strides) ? data : gather(data, shape, strides, size) };
}

function isContiguous(shape: readonly number[], strides: readonly number[]): boolean {
  let expected = 1;
  for (let i = shape.length - 1; i >= 0; i--) {
    if (shape[i] !== 1 && strides[i] !== expected) return false;
    expected *= shape[i];
  }
  return true;
}

/** The elements of a strided view in row-major order. */
function gather(
  data: TensorValues,
  shape: readonly number[],
  strides: readonly number[],
  size: number,
): TensorValues {
  const values = new (data.constructor as new (length: number) => TensorValues)(size);
  for (let i = 0; i < size; i++) {
    let rest = i;
    let from = 0;
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      from += (rest % shape[axis]) * strides[axis];
      rest = Math.floor(rest / shape[axis]);
    }
    values[i] = data[from];
  }
  return values;
}
