import type { DataId } from '@tensorflow/tfjs';
import { UserError } from '../common/errors.ts';
import { type Random, seeded } from '../common/random.ts';
import { type HostTensor, sizeOf } from './graph.ts';
import { tf } from './tf.ts';
import { ARENA_LIMIT_BYTES, type Arena, createArena } from './wasm/kernels.ts';

/** Where a device with memory of its own keeps parameters and all that belongs to them. */
export interface Residence {
  /** Writes what the device has changed to where the host has it. */
  fetch(): Promise<void>;
  /** Forgets the device's copy: the host has written to its own. */
  drop(): void;
  zeroGradients(): void;
}

/** Fills a new parameter; `random` is a stream of its own for every parameter name. */
export type Initializer = (values: Float32Array, shape: readonly number[], random: Random) => void;

export const zeros: Initializer = () => {};
export const ones: Initializer = (values) => void values.fill(1);
/** N(0, std^2). */
export const normal =
  (std: number): Initializer =>
  (values, _shape, random) => {
    for (let i = 0; i < values.length; i++) values[i] = std * random.normal();
  };
/** U(-limit, limit). */
export const uniform =
  (limit: number): Initializer =>
  (values, _shape, random) => {
    for (let i = 0; i < values.length; i++) values[i] = limit * (2 * random.uniform() - 1);
  };
/** Glorot and Bengio's uniform initialisation, for a matrix [fan in, fan out]. */
export const xavierUniform: Initializer = (values, shape, random) =>
  uniform(Math.sqrt(6 / (shape[0] + shape[1])))(values, shape, random);
/** Glorot and Bengio's normal initialisation, for a matrix [fan in, fan out]. */
export const xavierNormal: Initializer = (values, shape, random) =>
  normal(Math.sqrt(2 / (shape[0] + shape[1])))(values, shape, random);

/** A named parameter. Its variable and its arena slot are views of the same memory. */
export interface Parameter {
  name: string;
  shape: readonly number[];
  trainable: boolean;
  /** True for a table of one row an item, of which a step may read and train some rows only. */
  perItem: boolean;
  /** True where an optimizer step is given the rows that it shall train. */
  lazy: boolean;
  variable: tf.Variable;
  values: Float32Array;
  /** The variable's data while they are `values`: assigning to the variable replaces them. */
  dataId: DataId;
  slot?: { segment: Segment; offset: number };
}

/** One arena: parameters | first moments | second moments | gradients, each of `length` elements. */
export interface Segment {
  arena: Arena;
  length: number;
  /** Whether its parameters are lazy ones, all of them or none. */
  lazy: boolean;
}

export interface ParameterOptions {
  trainable?: boolean;
  perItem?: boolean;
}

export interface ParametersOptions {
  seed?: number;
  /** False for the JavaScript kernels: the same numbers, slower. */
  simd?: boolean;
  /** Most elements that one arena may hold; larger models take several. */
  segmentLimit?: number;
}

export type Moment = 'first' | 'second' | 'gradient';
const QUARTER: Record<Moment, number> = { first: 1, second: 2, gradient: 3 };
/** Elements: an arena holds four of each, of four bytes. */
const LARGEST_SEGMENT = ARENA_LIMIT_BYTES / 16;
const padded = (n: number) => Math.ceil(n / 4) * 4;

/** Makes `values` the memory of a parameter and of its variable. */
function bind(parameter: Parameter, values: Float32Array): void {
  parameter.values = values;
  const tensor = tf.tensor(values, [...parameter.shape], 'float32');
  parameter.variable.assign(tensor);
  // The variable holds the data by itself.
  tensor.dispose();
  parameter.dataId = parameter.variable.dataId;
}

/**
 * The variables of a model, by name. Trainable ones share flat arenas with their gradients and Adam moments (made when
 * training first needs them), so that an optimizer step is a few passes over contiguous memory.
 */
export class Parameters {
  readonly #all = new Map<string, Parameter>();
  readonly #seed: number;
  readonly #simd: boolean;
  readonly #segmentLimit: number;
  #segments: Segment[] | undefined;
  /** Set by a device that keeps the parameters in memory of its own. */
  residence: Residence | undefined;

  constructor({ seed = 0, simd = true, segmentLimit = LARGEST_SEGMENT }: ParametersOptions = {}) {
    this.#seed = seed;
    this.#simd = simd;
    this.#segmentLimit = segmentLimit;
  }

  /** Makes the variable `name`, filled by an initializer or with given values (kept, not copied). */
  create(
    name: string,
    shape: readonly number[],
    initial: Initializer | Float32Array,
    { trainable = true, perItem = false }: ParameterOptions = {},
  ): tf.Variable {
    if (this.#all.has(name)) throw new Error(`parameter '${name}' is made twice`);
    if (this.#segments && trainable) throw new Error(`parameter '${name}' is made after training has begun`);
    const size = sizeOf(shape);
    const values = initial instanceof Float32Array ? initial : new Float32Array(size);
    if (values.length !== size)
      throw new Error(`parameter '${name}' of shape [${shape}] cannot take ${values.length} values`);
    if (typeof initial === 'function') initial(values, shape, seeded(this.#seed, 'parameter', name));
    const tensor = tf.tensor(values, [...shape], 'float32');
    const variable = tf.variable(tensor, trainable, `${name}#${Parameters.#count++}`);
    tensor.dispose();
    this.#all.set(name, {
      name,
      shape,
      trainable,
      perItem,
      lazy: false,
      variable,
      values,
      dataId: variable.dataId,
    });
    return variable;
  }
  // tfjs wants variable names unique in the whole process.
  static #count = 0;

  /** Takes the parameters whose names begin with `prefix` out of training. */
  freeze(prefix: string): void {
    for (const parameter of this.#all.values()) {
      if (!parameter.name.startsWith(prefix)) continue;
      if (this.#segments) throw new Error(`'${prefix}' is frozen after training has begun`);
      parameter.trainable = false;
      parameter.variable.trainable = false;
    }
  }

  /** Makes the trainable tables of one row an item lazy; call it before training begins. @returns them */
  deferRows(): Parameter[] {
    if (this.#segments) throw new Error('tables are made lazy after training has begun');
    const tables = this.trainable().filter(({ perItem }) => perItem);
    for (const table of tables) table.lazy = true;
    return tables;
  }

  get(name: string): Parameter {
    const found = this.#all.get(name);
    if (!found) throw new Error(`no parameter is named '${name}'`);
    return found;
  }

  has(name: string): boolean {
    return this.#all.has(name);
  }

  all(): Parameter[] {
    return [...this.#all.values()];
  }

  trainable(): Parameter[] {
    return this.all().filter((p) => p.trainable);
  }

  /** Number of trainable elements. */
  get size(): number {
    return this.trainable().reduce((n, p) => n + sizeOf(p.shape), 0);
  }

  /** The arenas of the trainable parameters; made, and the parameters moved in, at the first call. */
  segments(): Segment[] {
    if (this.#segments) return this.#segments;
    this.follow();
    const plans: { parameters: Parameter[]; length: number; lazy: boolean }[] = [];
    const trainable = this.trainable();
    for (const parameter of [...trainable.filter((p) => !p.lazy), ...trainable.filter((p) => p.lazy)]) {
      const n = padded(parameter.values.length);
      if (n > this.#segmentLimit)
        throw new UserError(
          `parameter '${parameter.name}' has ${n} elements; at most ${this.#segmentLimit} fit`,
        );
      let plan = plans.at(-1);
      if (!plan || plan.lazy !== parameter.lazy || plan.length + n > this.#segmentLimit) {
        plan = { parameters: [], length: 0, lazy: parameter.lazy };
        plans.push(plan);
      }
      plan.parameters.push(parameter);
      plan.length += n;
    }
    this.#segments = plans.map(({ parameters, length, lazy }) => {
      const segment: Segment = { arena: createArena(length * 16, { simd: this.#simd }), length, lazy };
      let offset = 0;
      for (const parameter of parameters) {
        const view = new Float32Array(segment.arena.buffer, offset * 4, parameter.values.length);
        view.set(parameter.values);
        parameter.slot = { segment, offset };
        bind(parameter, view);
        offset += padded(view.length);
      }
      return segment;
    });
    return this.#segments;
  }

  /** Brings values, moments and gradients up to date in host memory; call it before reading them. */
  async fetch(): Promise<void> {
    await this.residence?.fetch();
  }

  /** Tells that values or moments were written in host memory: a device takes them in before it goes on. */
  changed(): void {
    this.residence?.drop();
  }

  /** Takes in what was assigned to variables since they were made: parameters and variables stay one memory. */
  follow(): void {
    for (const parameter of this.#all.values()) {
      const { variable, dataId, values } = parameter;
      if (variable.dataId === dataId) continue;
      values.set(variable.dataSync());
      bind(parameter, values);
    }
  }

  /** A trainable parameter's gradient or moment, as a view of the arena. */
  view(name: string, what: Moment): Float32Array {
    this.segments();
    const { slot, values } = this.get(name);
    if (!slot) throw new Error(`parameter '${name}' is not trained`);
    const start = QUARTER[what] * slot.segment.length + slot.offset;
    return new Float32Array(slot.segment.arena.buffer, start * 4, values.length);
  }

  /** Sets the gradients of all parameters to zero, for losses that are compiled to accumulate. */
  zeroGradients(): void {
    if (this.residence) this.residence.zeroGradients();
    else
      for (const { arena, length } of this.segments())
        new Float32Array(arena.buffer, 4 * QUARTER.gradient * length, length).fill(0);
  }

  /** Every parameter's values, copied: a checkpoint in memory. `fetch` first where a device has newer ones. */
  snapshot(): Map<string, HostTensor> {
    this.follow();
    return new Map(
      this.all().map((p) => [p.name, { dtype: 'float32', shape: p.shape, data: p.values.slice() }]),
    );
  }

  /** Frees the host backend's variables. */
  dispose(): void {
    this.residence?.drop();
    for (const { variable } of this.#all.values()) variable.dispose();
    this.#all.clear();
  }
}
