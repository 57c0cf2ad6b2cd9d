import { UserError } from '../common/errors.ts';

/** float16 is a way to store what a function takes in: it computes with float32. */
export type DType = 'float32' | 'int32' | 'bool' | 'float16';
/** Types of the elements of a graph's values: those of tensors, and those that only graphs know. */
export type ElementType = DType | 'int64' | 'int8' | 'uint32';
/** Halves are their 16 bits. */
export type HostArray = Float32Array | Int32Array | Uint8Array | Uint16Array;

/** Type and size of a tensor. Shapes are static; graphs that are not traced have -1, -2, ... for sizes that only a run tells. */
export interface Spec {
  dtype: DType;
  shape: readonly number[];
}

/** A tensor in host memory, row-major. */
export interface HostTensor extends Spec {
  data: HostArray;
  /** True promises that nobody writes to `data` any more: a device with memory of its own keeps a copy. */
  frozen?: boolean;
  /** Set on a result that a device has left where it is, to be read once: `data` is empty. */
  read?: () => Promise<HostArray>;
  /** Set on a matrix that lies on a device, for functions there to take in: `data` is empty. */
  held?: readonly HeldRows[];
}

/** Some rows of a matrix on a device. Where those of one matrix overlap, the later ones count. */
export interface HeldRows {
  first: number;
  rows: number;
  /** The device's own. */
  tensor: unknown;
  dispose(): void;
}

/** An integer, a list of integers, a text, a real number or a tensor, as ONNX attributes know them. */
export type Attribute = number | readonly number[] | string | { float: number } | { tensor: Constant };

export interface Constant {
  dtype: ElementType;
  shape: readonly number[];
  data: HostArray | BigInt64Array | Int8Array | Uint32Array | Uint16Array;
}

export interface Node {
  op: string;
  /** '' for ONNX's own operators. */
  domain: string;
  inputs: string[];
  outputs: string[];
  attributes: Record<string, Attribute>;
}

/** An input that the engine itself fills before every run, from (seed, step, stream). */
export interface RandomInput {
  name: string;
  kind: 'dropout' | 'normal';
  shape: readonly number[];
  /** Drop probability of a dropout mask. */
  rate: number;
  stream: number;
}

export const sizeOf = (shape: readonly number[]): number => shape.reduce((a, b) => a * b, 1);

/** A new zeroed array for `spec`. */
export function allocate(spec: Spec): HostArray {
  const n = sizeOf(spec.shape);
  return new ARRAYS[spec.dtype](n);
}

/** What holds the elements of each type. */
export const ARRAYS = { float32: Float32Array, int32: Int32Array, bool: Uint8Array, float16: Uint16Array };

const arrayOf = (dtype: DType, values: ArrayLike<number>): HostArray => ARRAYS[dtype].from(values);

/** An ONNX graph under construction: values are named, a value has one producer. */
export class Graph {
  nodes: Node[] = [];
  readonly constants = new Map<string, Constant>();
  readonly inputs = new Map<string, Spec>();
  /** Output name -> the value that it shows. */
  readonly outputs = new Map<string, Spec & { value: string }>();
  readonly randomInputs: RandomInput[] = [];
  /** Types and shapes of values, as far as they are known. */
  readonly specs = new Map<string, Spec>();
  #shared = new Map<string, string>();
  #count = 0;

  #newName(prefix: string): string {
    return `${prefix}_${this.#count++}`;
  }

  /** Appends a node with one output and returns the output's name. */
  emit(op: string, inputs: string[], attributes: Record<string, Attribute> = {}, domain = ''): string {
    return this.emitMany(op, 1, inputs, attributes, domain)[0];
  }

  /** Appends a node with `outputCount` outputs and returns their names. */
  emitMany(
    op: string,
    outputCount: number,
    inputs: string[],
    attributes: Record<string, Attribute> = {},
    domain = '',
  ): string[] {
    const outputs = Array.from({ length: outputCount }, () => this.#newName(op));
    this.nodes.push({ op, domain, inputs, outputs, attributes });
    return outputs;
  }

  /** A constant; equal small ones are shared. */
  constant(dtype: Constant['dtype'], shape: readonly number[], data: Constant['data']): string {
    const make = () => {
      const name = this.#newName('const');
      this.constants.set(name, { dtype, shape, data });
      return name;
    };
    if (data.length > 64) return make();
    return this.#share(`${dtype}|${shape}|${Array.from(data as ArrayLike<number | bigint>).join()}`, make);
  }

  /** A tensor of one repeated value, made by the runtime rather than stored. */
  filled(shape: readonly number[], value: number, dtype: DType): string {
    if (sizeOf(shape) <= 64)
      return this.constant(dtype, shape, arrayOf(dtype, new Array(sizeOf(shape)).fill(value)));
    return this.#share(`fill|${dtype}|${shape}|${value}`, () =>
      this.emit('ConstantOfShape', [this.ints(shape)], {
        value: { tensor: { dtype, shape: [1], data: arrayOf(dtype, [value]) } },
      }),
    );
  }

  /** A list of 64-bit integers, as shapes and axes are given to ONNX operators. */
  ints(values: readonly number[]): string {
    return this.constant('int64', [values.length], BigInt64Array.from(values, BigInt));
  }

  scalar(value: number, dtype: DType = 'float32'): string {
    return this.constant(dtype, [], arrayOf(dtype, [value]));
  }

  #share(key: string, make: () => string): string {
    const known = this.#shared.get(key);
    if (known !== undefined) return known;
    const name = make();
    this.#shared.set(key, name);
    return name;
  }

  input(name: string, spec: Spec): void {
    this.inputs.set(name, spec);
  }

  /** An input filled by the engine; its stream number is its place in the order of tracing. */
  randomInput(kind: RandomInput['kind'], shape: readonly number[], rate: number): string {
    const stream = this.randomInputs.length;
    const name = `random_${stream}`;
    this.input(name, { dtype: 'float32', shape });
    this.randomInputs.push({ name, kind, shape, rate, stream });
    return name;
  }

  output(name: string, spec: Spec, value: string): void {
    if (this.outputs.has(name)) throw new UserError(`two outputs of a compiled function are named '${name}'`);
    if (this.inputs.has(name))
      throw new UserError(`an input and an output of a compiled function are both named '${name}'`);
    this.outputs.set(name, { ...spec, value });
  }

  /** Removes what no output needs, lets outputs name their producers instead of copying them, and orders the nodes. */
  finish(): void {
    this.#nameOutputs();
    const needed = new Set([...this.outputs.values()].map((o) => o.value));
    const live: Node[] = [];
    for (const node of this.nodes.reverse()) {
      if (!node.outputs.some((o) => needed.has(o))) continue;
      live.push(node);
      for (const name of node.inputs) needed.add(name);
    }
    this.nodes = live.reverse();
    for (const name of [...this.constants.keys()]) if (!needed.has(name)) this.constants.delete(name);
    for (const name of [...this.inputs.keys()]) if (!needed.has(name)) this.inputs.delete(name);
    const kept = this.randomInputs.filter((r) => needed.has(r.name));
    this.randomInputs.splice(0, Infinity, ...kept);
    this.#orderLeaves();
  }

  /**
   * onnxruntime begins with the last node that no other reads, does what it needs, and goes on with the one before. With
   * those nodes in reverse, a layer's gradients are computed when the way back has come to it; in order they would be
   * left for the end, and all that they read be kept until then.
   */
  #orderLeaves(): void {
    const read = new Set(this.nodes.flatMap((node) => node.inputs));
    const isLeaf = (node: Node) => !node.outputs.some((name) => read.has(name));
    this.nodes = [...this.nodes.filter((node) => !isLeaf(node)), ...this.nodes.filter(isLeaf).reverse()];
  }

  #nameOutputs(): void {
    const producer = new Map<string, Node>();
    for (const node of this.nodes) for (const name of node.outputs) producer.set(name, node);
    const renamed = new Map<string, string>();
    for (const [name, output] of this.outputs) {
      const node = producer.get(output.value);
      if (node && !renamed.has(output.value)) {
        renamed.set(output.value, name);
        output.value = name;
      } else {
        this.nodes.push({
          op: 'Identity',
          domain: '',
          inputs: [output.value],
          outputs: [name],
          attributes: {},
        });
        output.value = name;
      }
    }
    const rename = (name: string) => renamed.get(name) ?? name;
    for (const node of this.nodes) {
      node.inputs = node.inputs.map(rename);
      node.outputs = node.outputs.map(rename);
    }
  }
}
