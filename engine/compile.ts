import type { Device } from './devices/contract.ts';
import { cpuDevice } from './devices/cpu.ts';
import { allocate, type Graph, type HostTensor, sizeOf } from './graph.ts';
import './ops.ts';
import { type Parameter, Parameters } from './parameters.ts';
import type { Randomness } from './random.ts';
import { addRows, liftScatters } from './scatter.ts';
import type { Executable } from './session.ts';
import { tf } from './tf.ts';
import { type CapturedVariable, type Target, trace } from './tracer.ts';

export type Inputs = Record<string, tf.Tensor>;
export type Feeds = Record<string, HostTensor>;

export interface CompileOptions {
  /** The variables that the function uses. */
  parameters?: Parameters;
  device?: Device;
  /** Threads, where no device is given. */
  threads?: number;
  /** How many shapes stay compiled (least recently used go first). */
  sessions?: number;
  /**
   * Results, matrices, that a device with memory of its own is to keep there (`HostTensor.held`), for other functions to take
   * in: the caller disposes of them. Gradients of inputs that are held come in the parts of these.
   */
  hold?: readonly string[];
}

/**
 * A compiled function. Every distinct set of input shapes is traced and compiled at its first call. Results are valid
 * until the next call with the same shapes, which writes over them.
 */
export interface Compiled {
  /** @param after what must have come about before results are added to gradients that lie in the arenas */
  (feeds: Feeds, randomness?: Randomness, after?: Promise<unknown>): Promise<Record<string, HostTensor>>;
  /** Frees all sessions. */
  close(): Promise<void>;
}

/** Compiles a function written with tf operations: tensors in, named tensors out (inference). */
export function compile(
  fn: (inputs: Inputs) => Record<string, tf.Tensor>,
  options: CompileOptions = {},
): Compiled {
  return cached(fn, options);
}

export interface GradientOptions extends CompileOptions {
  parameters: Parameters;
  /** Inputs whose gradients are wanted besides: results named by `gradientOf`. */
  inputs?: readonly string[];
  /** True to add to the gradients that lie in the arenas, where they else replace them. */
  accumulate?: boolean;
  /** True where the loss may be read later (`HostTensor.read`): a device that computes by itself need not be waited for. */
  readLater?: boolean;
}

/** Under which name a result holds the gradient of an input. */
export const gradientOf = (input: string): string => `gradient of ${input}`;

/**
 * Compiles a loss: returns `{ loss }` and writes the gradient of every trainable parameter into its arena, where an
 * Optimizer finds it. Parameters that the loss does not reach get a zero gradient; lazy ones (`deferRows`) are constants,
 * but on a device that they stay on.
 *
 * Gradients of inputs come in one buffer for all shapes of the other inputs.
 */
export function compileGradients(
  loss: (inputs: Inputs) => tf.Scalar,
  { inputs: wanted = [], accumulate = false, readLater = false, ...options }: GradientOptions,
): Compiled {
  const trainable = options.parameters.trainable().filter(({ lazy }) => !lazy || options.device?.resident);
  const withGradients = (inputs: Inputs) => {
    const sources = [...trainable.map((p) => p.variable), ...wanted.map((name) => inputs[name])];
    const { value, grads } = tf.engine().gradients(() => loss(inputs), sources, undefined, true);
    if (value.rank !== 0) throw new Error(`the loss has the shape [${value.shape}]: it must be a scalar`);
    if (!grads.some(Boolean)) throw new Error('the loss depends on no parameter that is trained');
    const names = [...trainable.map((p) => gradientName(p.name)), ...wanted.map(gradientOf)];
    const outputs: Record<string, tf.Tensor> = { loss: value };
    grads.forEach((gradient, i) => {
      if (gradient) outputs[names[i]] = gradient;
    });
    return outputs;
  };
  return cached(withGradients, options, { parameters: trainable, inputs: wanted, accumulate, readLater });
}

export const parameterName = (name: string) => `parameter:${name}`;
export const gradientName = (name: string) => `gradient:${name}`;

/** A function to be run on a device, with the variables that it uses. */
export interface Program {
  fn(inputs: Inputs): Record<string, tf.Tensor>;
  parameters: Parameters;
  /** How many shapes stay compiled. */
  sessions: number;
  /** Results that stay on a device with memory of its own. */
  hold: readonly string[];
  /** Set where the function computes gradients. */
  differentiation?: Differentiation;
}

/** What a compiled function does with gradients. */
export interface Differentiation {
  parameters: readonly Parameter[];
  inputs: readonly string[];
  accumulate: boolean;
  readLater: boolean;
}

/** Traces a program for the shapes of `feeds`. Outputs are its results and `gradientName`s; it still wants its `finish()`. */
export function traceProgram({ fn, parameters }: Program, feeds: Feeds, target?: Target): Graph {
  const captured: CapturedVariable[] = parameters.all().map((p) => ({
    name: parameterName(p.name),
    dtype: 'float32',
    shape: p.shape,
    variable: p.variable,
  }));
  return trace(fn, feeds, captured, target);
}

/** The gradients of parameters that a program is to find. */
export const gradientNames = ({ differentiation }: Program): string[] =>
  differentiation?.parameters.map((p) => gradientName(p.name)) ?? [];

/** What was made for the latest shapes of a function's inputs. */
export class ShapeCache<T extends { release(): Promise<void> }> {
  readonly #made = new Map<string, T>();
  readonly #capacity: number;

  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  async get(feeds: Feeds, make: () => Promise<T>): Promise<T> {
    const key = Object.entries(feeds)
      .map(([name, t]) => `${name}:${t.dtype}[${t.shape}]${t.held?.map(({ first }) => first) ?? ''}`)
      .join();
    let found = this.#made.get(key);
    if (!found) {
      found = await make();
      for (const [oldKey, old] of this.#made) {
        if (this.#made.size < this.#capacity) break;
        this.#made.delete(oldKey);
        await old.release();
      }
    }
    // A Map iterates in order of insertion: re-inserting makes this the most recently used.
    this.#made.delete(key);
    this.#made.set(key, found);
    return found;
  }

  async close(): Promise<void> {
    for (const made of this.#made.values()) await made.release();
    this.#made.clear();
  }
}

function cached(fn: Program['fn'], options: CompileOptions, differentiation?: Differentiation): Compiled {
  const { parameters = new Parameters(), sessions: capacity = 16, hold = [] } = options;
  const device = options.device ?? cpuDevice({ threads: options.threads });
  const program: Program = { fn, parameters, sessions: capacity, hold, differentiation };
  if (device.compile) return device.compile(program);
  const sessions = new ShapeCache<Session>(capacity);
  const shared = new Map<string, Float32Array>();
  if (differentiation) parameters.segments();

  const call = async (
    feeds: Feeds,
    randomness: Randomness = { seed: 0, step: 0 },
    after?: Promise<unknown>,
  ) => {
    parameters.follow();
    const session = await sessions.get(feeds, () => Session.create(program, feeds, { device, shared }));
    return session.run(feeds, randomness, after);
  };
  call.close = () => sessions.close();
  return call;
}

/** Rows that the host adds to a gradient: gradient[ids[r]] += updates[r]. */
interface Scatter {
  gradient: Float32Array;
  ids: HostTensor;
  updates: HostTensor;
}

interface SessionContext {
  device: Device;
  /** Buffers of gradients that all sessions of a function write, by name and shape. */
  shared: Map<string, Float32Array>;
}

/** What a session does with the gradients of one shape. */
interface GradientPlan {
  /** Gradients that the graph does not write whole; another loss, or this one in another shape, may have. */
  zeroed: Float32Array[];
  /** What the host adds after the graph has run. */
  scatters: Scatter[];
  /** What the graph wrote aside, to be added to what lies in the arenas. */
  sums: { gradient: Float32Array; part: Float32Array }[];
}

/** One compiled shape: the executable, and the memory that it reads and writes. */
class Session {
  readonly #executable: Executable;
  readonly #inputs: Set<string>;
  /** Looked up at every run: parameters move when training makes their arenas. */
  readonly #parameters: Parameter[];
  readonly #gradients: GradientPlan;
  readonly #results: Record<string, HostTensor>;
  readonly #visible: Record<string, HostTensor>;

  private constructor(
    executable: Executable,
    inputs: Set<string>,
    parameters: Parameter[],
    gradients: GradientPlan,
    results: Record<string, HostTensor>,
  ) {
    this.#executable = executable;
    this.#inputs = inputs;
    this.#parameters = parameters;
    this.#gradients = gradients;
    this.#results = results;
    this.#visible = Object.fromEntries(
      Object.entries(results).filter(([name]) => !/^(gradient|scatter):/.test(name)),
    );
  }

  static async create(program: Program, feeds: Feeds, { device, shared }: SessionContext): Promise<Session> {
    const { parameters, differentiation } = program;
    const graph = traceProgram(program, feeds);
    const results: Record<string, HostTensor> = {};
    const ofParameters = gradientNames(program);
    const ofInputs = new Map(differentiation?.inputs.map((input) => [gradientOf(input), feeds[input]]));
    const common = (name: string, shape: readonly number[]): Float32Array => {
      const key = `${name}[${shape}]`;
      const buffer = shared.get(key) ?? new Float32Array(sizeOf(shape));
      shared.set(key, buffer);
      return buffer;
    };
    /** Where a gradient is to be found in the end. */
    const home = (name: string): Float32Array => {
      const input = ofInputs.get(name);
      if (!input) return parameters.view(name.slice(gradientName('').length), 'gradient');
      const buffer = common(name, input.shape);
      results[name] = { dtype: 'float32', shape: input.shape, data: buffer };
      return buffer;
    };
    const names = [...ofParameters, ...ofInputs.keys()];
    const lifted = device.inHostMemory ? liftScatters(graph, names) : [];
    graph.finish();
    const accumulates = (name: string) => differentiation?.accumulate === true && ofParameters.includes(name);
    const plan: GradientPlan = {
      zeroed: names.filter((name) => !graph.outputs.has(name) && !accumulates(name)).map(home),
      scatters: [],
      sums: [],
    };
    for (const [name, spec] of graph.outputs) {
      const part = accumulates(name) ? common(name, spec.shape) : undefined;
      const data = part ?? (names.includes(name) ? home(name) : allocate(spec));
      if (part) plan.sums.push({ gradient: home(name), part });
      results[name] = { dtype: spec.dtype, shape: spec.shape, data };
    }
    plan.scatters = lifted.map(({ gradient, ids, updates }) => ({
      gradient: home(gradient),
      ids: results[ids],
      updates: results[updates],
    }));
    return new Session(
      await device.load(graph),
      new Set(graph.inputs.keys()),
      parameters.all().filter((p) => graph.inputs.has(parameterName(p.name))),
      plan,
      results,
    );
  }

  async run(
    feeds: Feeds,
    randomness: Randomness,
    after?: Promise<unknown>,
  ): Promise<Record<string, HostTensor>> {
    const all: Feeds = {};
    for (const { name, shape, values } of this.#parameters) {
      all[parameterName(name)] = { dtype: 'float32', shape, data: values };
    }
    // Inputs that the function never used are not inputs of the graph.
    for (const [name, t] of Object.entries(feeds)) if (this.#inputs.has(name)) all[name] = t;
    const { zeroed, scatters, sums } = this.#gradients;
    for (const gradient of zeroed) gradient.fill(0);
    await Promise.all([this.#executable.run(all, this.#results, randomness), after]);
    for (const { gradient, part } of sums) for (let i = 0; i < part.length; i++) gradient[i] += part[i];
    for (const { gradient, ids, updates } of scatters) {
      addRows(
        gradient,
        ids.data as Int32Array,
        updates.data as Float32Array,
        updates.data.length / ids.data.length,
      );
    }
    return this.#visible;
  }

  release(): Promise<void> {
    return this.#executable.release();
  }
}
