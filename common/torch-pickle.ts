import type { UserError } from './errors.ts';
import type { DType } from './safetensors-header.ts';

/** Where the values of tensors lie: `elements` numbers of one type, known by a key. */
export class TorchStorage {
  readonly dtype: DType;
  readonly key: string;
  readonly elements: number;

  constructor(dtype: DType, key: string, elements: number) {
    this.dtype = dtype;
    this.key = key;
    this.elements = elements;
  }
}

/** A tensor as PyTorch describes it: a strided view of a storage; offset and strides count elements. */
export class TorchTensor {
  readonly storage: TorchStorage;
  readonly offset: number;
  readonly shape: readonly number[];
  readonly strides: readonly number[];

  constructor(storage: TorchStorage, offset: number, shape: readonly number[], strides: readonly number[]) {
    this.storage = storage;
    this.offset = offset;
    this.shape = shape;
    this.strides = strides;
  }
}

/** A name that a pickle refers to; calling it is done here, never by what it names. */
class Global {
  readonly name: string;

  constructor(name: string) {
    this.name = name;
  }
}

const MARK = Symbol('mark');
type Value =
  | string
  | number
  | bigint
  | boolean
  | null
  | Global
  | TorchStorage
  | TorchTensor
  | Value[]
  | Dictionary;
interface Dictionary extends Map<Value, Value> {}

const STORAGES: Record<string, DType> = {
  DoubleStorage: 'F64',
  FloatStorage: 'F32',
  HalfStorage: 'F16',
  BFloat16Storage: 'BF16',
  LongStorage: 'I64',
  IntStorage: 'I32',
  ShortStorage: 'I16',
  CharStorage: 'I8',
  ByteStorage: 'U8',
  BoolStorage: 'BOOL',
};

const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;
const isCounts = (value: unknown): value is number[] => Array.isArray(value) && value.every(isCount);

/** The only functions that a file may call, each done here. They return undefined for arguments that make no sense. */
const FUNCTIONS: Record<string, (args: Value[]) => Value | undefined> = {
  'collections.OrderedDict': (args) => (args.length ? undefined : new Map()),
  'torch._utils._rebuild_tensor': rebuildTensor,
  'torch._utils._rebuild_tensor_v2': rebuildTensor,
  'torch._utils._rebuild_parameter': ([data]) => (data instanceof TorchTensor ? data : undefined),
};

function rebuildTensor([storage, offset, shape, strides]: Value[]): TorchTensor | undefined {
  if (!(storage instanceof TorchStorage) || !isCount(offset) || !isCounts(shape) || !isCounts(strides))
    return undefined;
  if (shape.length !== strides.length) return undefined;
  const size = shape.reduce((product, n) => product * n, 1);
  const last = shape.reduce((sum, n, i) => sum + (n - 1) * strides[i], offset);
  // A view that repeats elements could claim any size: state dictionaries have none.
  if (size > storage.elements || (size > 0 && last >= storage.elements)) return undefined;
  return new TorchTensor(storage, offset, shape, strides);
}

/** Memory and time are bounded by the pickle's length, but for the numbers of tensors, which are checked above. */
class Machine {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #fail: (problem: string) => UserError;
  #at: number;
  #stack: (Value | typeof MARK)[] = [];
  readonly #memo = new Map<number, Value>();

  constructor(bytes: Uint8Array, start: number, fail: (problem: string) => UserError) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#at = start;
    this.#fail = fail;
  }

  run(): { value: Value; end: number } {
    for (;;) {
      const at = this.#at;
      const code = String.fromCharCode(this.#view.getUint8(this.#take(1)));
      if (code === '.') return { value: this.#pop(), end: this.#at };
      const operation = OPERATIONS[code];
      if (!operation) {
        const hex = code.charCodeAt(0).toString(16).padStart(2, '0');
        throw this.#broken(`operation 0x${hex} at byte ${at} is none that tensors need`);
      }
      operation(this);
    }
  }

  #broken(problem: string): UserError {
    return this.#fail(`its pickle is refused: ${problem}`);
  }

  /** Position of the next `count` bytes. */
  #take(count: number): number {
    const at = this.#at;
    if (at + count > this.#bytes.length) throw this.#fail(`its pickle ends at byte ${at} without a result`);
    this.#at += count;
    return at;
  }

  uint8 = () => this.#view.getUint8(this.#take(1));
  uint16 = () => this.#view.getUint16(this.#take(2), true);
  int32 = () => this.#view.getInt32(this.#take(4), true);
  uint32 = () => this.#view.getUint32(this.#take(4), true);
  float64 = () => this.#view.getFloat64(this.#take(8), false);

  /** A little-endian two's complement integer of `length` bytes. */
  integer(length: number): number | bigint {
    const at = this.#take(length);
    let value = 0n;
    for (let i = length - 1; i >= 0; i--) value = (value << 8n) | BigInt(this.#bytes[at + i]);
    value = BigInt.asIntN(8 * length, value);
    return Number.isSafeInteger(Number(value)) ? Number(value) : value;
  }

  text(length: number): string {
    const at = this.#take(length);
    return Buffer.from(this.#bytes.buffer, this.#bytes.byteOffset + at, length).toString('utf8');
  }

  line(): string {
    const end = this.#bytes.indexOf(10, this.#at);
    const text = this.text((end < 0 ? this.#bytes.length : end) - this.#at);
    this.#take(1);
    return text;
  }

  push(value: Value | typeof MARK): void {
    this.#stack.push(value);
  }

  #pop(): Value {
    const value = this.#stack.pop();
    if (value === undefined || value === MARK) throw this.#broken(`too few values before byte ${this.#at}`);
    return value;
  }

  /** The last `count` values. */
  take(count: number): Value[] {
    return Array.from({ length: count }, () => this.#pop()).reverse();
  }

  /** The values since the last mark. */
  sinceMark(): Value[] {
    const mark = this.#stack.lastIndexOf(MARK);
    if (mark < 0) throw this.#broken(`no mark before byte ${this.#at}`);
    return this.#stack.splice(mark).slice(1) as Value[];
  }

  #top<T>(kind: abstract new (...args: never[]) => T): T {
    const top = this.#stack.at(-1);
    if (!(top instanceof kind)) throw this.#broken(`what precedes byte ${this.#at} cannot hold values`);
    return top;
  }

  append(values: Value[]): void {
    const list = this.#top<Value[]>(Array);
    for (const value of values) list.push(value);
  }

  setItems(values: Value[]): void {
    if (values.length % 2) throw this.#broken(`a key without a value before byte ${this.#at}`);
    const dictionary = this.#top<Map<Value, Value>>(Map);
    for (let i = 0; i < values.length; i += 2) dictionary.set(values[i], values[i + 1]);
  }

  /** Attributes of a dictionary, such as a state dictionary's versions: of no use here. */
  dropAttributes(): void {
    this.#pop();
    this.#top(Map);
  }

  remember(key: number): void {
    const value = this.#pop();
    this.#memo.set(key, value);
    this.push(value);
  }

  recall(key: number): void {
    const value = this.#memo.get(key);
    if (value === undefined) throw this.#broken(`byte ${this.#at} refers to a value that is not there`);
    this.push(value);
  }

  global(): void {
    const name = `${this.line()}.${this.line()}`;
    const storage = /^torch\.(\w+)$/.exec(name)?.[1];
    if (!Object.hasOwn(FUNCTIONS, name) && !(storage && Object.hasOwn(STORAGES, storage)))
      throw this.#broken(`it asks for '${name}', and only tensors are read`);
    this.push(new Global(name));
  }

  call(): void {
    const [callee, args] = this.take(2);
    const call = callee instanceof Global ? FUNCTIONS[callee.name] : undefined;
    if (!call || !Array.isArray(args))
      throw this.#broken(`a call before byte ${this.#at} of what is no function`);
    const result = call(args);
    if (result === undefined)
      throw this.#broken(
        `the arguments of '${(callee as Global).name}' before byte ${this.#at} describe no tensor within its storage`,
      );
    this.push(result);
  }

  /** ('storage', type, key, device, elements), and in the older format a view of another storage. */
  storage(): void {
    const [description] = this.take(1);
    const [kind, type, key, , elements, view = null] = Array.isArray(description) ? description : [];
    const dtype = type instanceof Global ? STORAGES[type.name.slice('torch.'.length)] : undefined;
    if (kind !== 'storage' || !dtype || typeof key !== 'string' || !isCount(elements) || view !== null)
      throw this.#broken(`byte ${this.#at} refers to a storage of an unknown kind`);
    this.push(new TorchStorage(dtype, key, elements));
  }

  protocol(): void {
    const version = this.uint8();
    if (version !== 2) throw this.#broken(`it is of protocol ${version}; torch.save writes protocol 2`);
  }
}

/** What protocol 2 writes for dictionaries of tensors; anything else is refused. */
const OPERATIONS: Record<string, ((machine: Machine) => void) | undefined> = {
  '\x80': (m) => m.protocol(),
  '(': (m) => m.push(MARK),
  N: (m) => m.push(null),
  '\x88': (m) => m.push(true),
  '\x89': (m) => m.push(false),
  K: (m) => m.push(m.uint8()),
  M: (m) => m.push(m.uint16()),
  J: (m) => m.push(m.int32()),
  '\x8a': (m) => m.push(m.integer(m.uint8())),
  G: (m) => m.push(m.float64()),
  X: (m) => m.push(m.text(m.uint32())),
  ')': (m) => m.push([]),
  '\x85': (m) => m.push(m.take(1)),
  '\x86': (m) => m.push(m.take(2)),
  '\x87': (m) => m.push(m.take(3)),
  t: (m) => m.push(m.sinceMark()),
  ']': (m) => m.push([]),
  a: (m) => m.append(m.take(1)),
  e: (m) => m.append(m.sinceMark()),
  '}': (m) => m.push(new Map()),
  s: (m) => m.setItems(m.take(2)),
  u: (m) => m.setItems(m.sinceMark()),
  q: (m) => m.remember(m.uint8()),
  r: (m) => m.remember(m.uint32()),
  h: (m) => m.recall(m.uint8()),
  j: (m) => m.recall(m.uint32()),
  c: (m) => m.global(),
  R: (m) => m.call(),
  Q: (m) => m.storage(),
  b: (m) => m.dropAttributes(),
};

/**
 * Reads one pickle (Python's serialisation, protocol 2) of the kind that torch.save writes for a state dictionary, by an
 * interpreter that has no operation but those that rebuild tensors: no code that a file names is looked up or run.
 * @param fail makes the error for a problem
 * @returns the value, and the position of the byte after the pickle
 */
export function unpickleTensors(
  bytes: Uint8Array,
  start: number,
  fail: (problem: string) => UserError,
): { value: unknown; end: number } {
  return new Machine(bytes, start, fail).run();
}
