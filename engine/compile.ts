import { type Device, type Executable, openDevice } from './device.ts';
import { allocate, type HostTensor, type RandomInput, sizeOf } from './graph.ts';
import './ops.ts';
import { type Parameter, Parameters } from './parameters.ts';
import { dropoutParameters, fillNormal, type Randomness, streamKey } from './random.ts';
import { addRows, liftScatters } from './scatter.ts';
import { tf } from './tf.ts';
import { type CapturedVariable, trace } from './tracer.ts';
import { type Arena, createArena } from './wasm/kernels.ts';

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
}

/**
 * A compiled function. Every distinct set of input shapes is traced and compiled at its first call. Results are valid
 * until the next call with the same shapes, which writes over them.
 */
export interface Compiled {
  (feeds: Feeds, randomness?: Randomness): Promise<Record<string, HostTensor>>;
  /** Frees all sessions. */
  close(): Promise<void>;
}

/** Compiles a function written with tf operations: tensors in, named tensors out (inference). */
export function compile(
  fn: (inputs: Inputs) => Record<string, tf.Tensor>,
  options: CompileOptions = {},
): Compiled {
  return cached(fn, options, false);
}

/**
 * Compiles a loss: returns `{ loss }` and writes the gradient of every trainable parameter into its arena, where an
 * Optimizer finds it. Parameters that the loss does not reach get a zero gradient.
 */
export function compileGradients(
  loss: (inputs: Inputs) => tf.Scalar,
  options: CompileOptions & { parameters: Parameters },
): Compiled {
  const trainable = options.parameters.trainable();
  const withGradients = (inputs: Inputs) => {
    const variables = trainable.map((p) => p.variable);
    const { value, grads } = tf.variableGrads(() => loss(inputs), variables);
    const outputs: Record<string, tf.Tensor> = { loss: value };
    for (const p of trainable)
      if (grads[p.variable.name]) outputs[gradientName(p.name)] = grads[p.variable.name];
    return outputs;
  };
  return cached(withGradients, options, true);
}

const parameterName = (name: string) => `parameter:${name}`;
const gradientName = (name: string) => `gradient:${name}`;

function cached(
  fn: (inputs: Inputs) => Record<string, tf.Tensor>,
  options: CompileOptions,
  gradients: boolean,
): Compiled {
  const { parameters = new Parameters(), sessions: capacity = 16 } = options;
  const device = options.device ?? openDevice('auto', { threads: options.threads });
  const sessions = new Map<string, Session>();
  if (gradients) parameters.segments();

  const call = async (feeds: Feeds, randomness: Randomness = { seed: 0, step: 0 }) => {
    parameters.follow();
    const key = Object.entries(feeds)
      .map(([name, t]) => `${name}:${t.dtype}[${t.shape}]`)
      .join();
    let session = sessions.get(key);
    if (!session) {
      session = await Session.create(fn, feeds, parameters, device, gradients);
      for (const [oldKey, old] of sessions) {
        if (sessions.size < capacity) break;
        sessions.delete(oldKey);
        await old.release();
      }
    }
    // A Map iterates in order of insertion: re-inserting makes this the most recently used.
    sessions.delete(key);
    sessions.set(key, session);
    return session.run(feeds, randomness);
  };
  call.close = async () => {
    for (const session of sessions.values()) await session.release();
    sessions.clear();
  };
  return call;
}

/** Rows that the host adds to a gradient: gradient[ids[r]] += updates[r]. */
interface Scatter {
  gradient: Float32Array;
  ids: HostTensor;
  updates: HostTensor;
}

/** One compiled shape: the executable, and the memory that it reads and writes. */
class Session {
  readonly #executable: Executable;
  readonly #inputs: Set<string>;
  /** Looked up at every run: parameters move when training makes their arenas. */
  readonly #parameters: Parameter[];
  /** Gradients that the graph does not write; another loss, or this one in another shape, may have. */
  readonly #untouched: Float32Array[];
  /** What the host adds to gradients after the graph has run. */
  readonly #scatters: Scatter[];
  readonly #results: Record<string, HostTensor>;
  readonly #visible: Record<string, HostTensor>;
  readonly #random: RandomBuffers;

  private constructor(
    executable: Executable,
    inputs: Set<string>,
    parameters: Parameter[],
    untouched: Float32Array[],
    scatters: Scatter[],
    results: Record<string, HostTensor>,
    random: RandomBuffers,
  ) {
    this.#executable = executable;
    this.#inputs = inputs;
    this.#parameters = parameters;
    this.#untouched = untouched;
    this.#scatters = scatters;
    this.#results = results;
    this.#visible = Object.fromEntries(
      Object.entries(results).filter(([name]) => !/^(gradient|scatter):/.test(name)),
    );
    this.#random = random;
  }

  static async create(
    fn: (inputs: Inputs) => Record<string, tf.Tensor>,
    feeds: Feeds,
    parameters: Parameters,
    device: Device,
    gradients: boolean,
  ): Promise<Session> {
    const captured: CapturedVariable[] = parameters.all().map((p) => ({
      name: parameterName(p.name),
      dtype: 'float32',
      shape: p.shape,
      variable: p.variable,
    }));
    const graph = trace(fn, feeds, captured);
    const gradientNames = gradients ? parameters.trainable().map((p) => gradientName(p.name)) : [];
    const lifted = device.inHostMemory ? liftScatters(graph, gradientNames) : { scatters: [], zero: [] };
    graph.finish();
    const used = parameters.all().filter((p) => graph.inputs.has(parameterName(p.name)));
    const gradientView = (name: string) => parameters.view(name.slice(gradientName('').length), 'gradient');
    const untouched = gradientNames.filter((name) => !graph.outputs.has(name)).map(gradientView);
    const results: Record<string, HostTensor> = {};
    for (const [name, spec] of graph.outputs) {
      const data = gradientNames.includes(name) ? gradientView(name) : allocate(spec);
      results[name] = { dtype: spec.dtype, shape: spec.shape, data };
    }
    const random = new RandomBuffers(graph.randomInputs);
    return new Session(
      await device.load(graph),
      new Set(graph.inputs.keys()),
      used,
      untouched,
      lifted.scatters.map(({ gradient, ids, updates }) => ({
        gradient: gradientView(gradient),
        ids: results[ids],
        updates: results[updates],
      })),
      results,
      random,
    );
  }

  async run(feeds: Feeds, randomness: Randomness): Promise<Record<string, HostTensor>> {
    this.#random.fill(randomness);
    const all: Feeds = { ...this.#random.feeds };
    for (const { name, shape, values } of this.#parameters) {
      all[parameterName(name)] = { dtype: 'float32', shape, data: values };
    }
    // Inputs that the function never used are not inputs of the graph.
    for (const [name, t] of Object.entries(feeds)) if (this.#inputs.has(name)) all[name] = t;
    for (const gradient of this.#untouched) gradient.fill(0);
    await this.#executable.run(all, this.#results);
    for (const { gradient, ids, updates } of this.#scatters) {
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

/** Memory for the random inputs of one session, filled before every run. */
class RandomBuffers {
  readonly feeds: Feeds = {};
  readonly #inputs: { input: RandomInput; data: Float32Array; length: number }[] = [];
  readonly #arena: Arena;

  constructor(inputs: readonly RandomInput[]) {
    const lengths = inputs.map((input) => Math.ceil(sizeOf(input.shape) / 4) * 4);
    this.#arena = createArena(4 * lengths.reduce((a, b) => a + b, 0));
    let offset = 0;
    inputs.forEach((input, i) => {
      const data = new Float32Array(this.#arena.buffer, offset, sizeOf(input.shape));
      this.#inputs.push({ input, data, length: lengths[i] });
      this.feeds[input.name] = { dtype: 'float32', shape: input.shape, data };
      offset += 4 * lengths[i];
    });
  }

  fill(at: Randomness): void {
    for (const { input, data, length } of this.#inputs) {
      const key = streamKey(at, input.stream);
      if (input.kind === 'normal') fillNormal(data, key);
      else {
        const { threshold, scale } = dropoutParameters(input.rate);
        this.#arena.kernels.dropoutMask(data.byteOffset, length, key, threshold, scale);
      }
    }
  }
}
