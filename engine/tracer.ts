import type { DataId, KernelBackend, TensorInfo } from '@tensorflow/tfjs';
import { UserError } from '../common/errors.ts';
import { explain, modelLine, rejectHostRandomness } from './explain.ts';
import { allocate, type DType, Graph, type HostArray, type Spec } from './graph.ts';
import { ELEMENT_TYPE } from './onnx.ts';
import { tf } from './tf.ts';

export const TRACER = 'onnx-tracer';

/** What a graph is made for: operations that suit a processor's caches do not suit a graphics card. */
export type Target = 'cpu' | 'gpu';

/** What the tracer knows of a tensor. */
interface Value {
  dtype: DType;
  shape: readonly number[];
  /** The graph value that holds it, once it has one. */
  name?: string;
  /** Its elements, for constants. */
  data?: HostArray;
  /** Set where all elements are equal: zeros, ones, the initial gradient. */
  uniform?: number;
  /** Set where the tensor is zeros with `updates` added at row `indices` (a gather's gradient). */
  scattered?: { indices: string; updates: string };
}

/** A tfjs variable that the graph takes as the input `name`. */
export interface CapturedVariable extends Spec {
  name: string;
  variable: { dataId: DataId };
}

/**
 * A tfjs backend whose kernels append ONNX nodes to a graph instead of computing: run a function on it once and the
 * graph does what the function does. Only one trace runs at a time, synchronously.
 */
class TracerBackend extends tf.KernelBackend {
  #values = new WeakMap<DataId, Value>();
  #graph: Graph | undefined;
  #captured = new Map<DataId, CapturedVariable>();
  #target: Target = 'cpu';
  #places = new Map<string, Set<string>>();

  get graph(): Graph {
    if (!this.#graph)
      throw new Error('the tracing backend has no graph: tensors of a finished trace were used');
    return this.#graph;
  }

  get target(): Target {
    return this.#target;
  }

  start(graph: Graph, captured: readonly CapturedVariable[], target: Target): void {
    this.#graph = graph;
    this.#target = target;
    this.#values = new WeakMap();
    this.#captured = new Map(captured.map((c) => [c.variable.dataId, c]));
    this.#places.clear();
  }

  /** Remembers where the model uses an operation: that it has no gradient shows only when the model has been left. */
  visit(kernelName: string): void {
    const places = this.#places.get(kernelName) ?? new Set();
    this.#places.set(kernelName, places.add(modelLine()));
  }

  /** Where the model used an operation that `visit` was told of. */
  placesOf(kernelName: string): string {
    return [...(this.#places.get(kernelName) ?? [])].join();
  }

  stop(): void {
    this.#graph = undefined;
    this.#captured.clear();
  }

  /** A new tensor that stands for the graph value `name`. */
  tensor(name: string, shape: readonly number[], dtype: string = 'float32'): TensorInfo {
    return this.#register({ name, shape, dtype: dtype as DType });
  }

  /** A new tensor whose elements all equal `value`; it becomes a node only where a kernel needs its elements. */
  filled(shape: readonly number[], value: number, dtype: string = 'float32'): TensorInfo {
    return this.#register({ shape, dtype: dtype as DType, uniform: value });
  }

  /** A new tensor: zeros of `shape` with `updates` added at `indices`. */
  scattered(name: string, shape: readonly number[], indices: string, updates: string): TensorInfo {
    return this.#register({ name, shape, dtype: 'float32', scattered: { indices, updates } });
  }

  /**
   * A new tensor of the same value. It has a data id of its own: tfjs disposes clones, and a shared id would take the
   * host's variable with it.
   */
  alias(t: TensorInfo): TensorInfo {
    return this.#register(this.#values.get(t.dataId) ?? this.#adopt(t));
  }

  #register(value: Value): TensorInfo {
    if (value.name !== undefined) this.graph.specs.set(value.name, value);
    const dataId = {};
    this.#values.set(dataId, value);
    return { dataId, shape: [...value.shape], dtype: value.dtype as tf.DataType };
  }

  /** The element that all of `t`'s elements equal, or undefined. */
  uniformOf(t: TensorInfo): number | undefined {
    return this.#values.get(t.dataId)?.uniform;
  }

  scatteredOf(t: TensorInfo): Value['scattered'] {
    return this.#values.get(t.dataId)?.scattered;
  }

  /** The graph value that holds `t`; constants and captured variables enter the graph at their first use. */
  nameOf(t: TensorInfo): string {
    const value = this.#values.get(t.dataId) ?? this.#adopt(t);
    if (value.name === undefined) {
      value.name =
        value.uniform !== undefined
          ? this.graph.filled(value.shape, value.uniform, value.dtype)
          : this.graph.constant(value.dtype, value.shape, value.data!);
      this.graph.specs.set(value.name, value);
    }
    return value.name;
  }

  /** Takes in a tensor that lives on the host backend: a captured variable, or a constant made outside the trace. */
  #adopt(t: TensorInfo): Value {
    const captured = this.#captured.get(t.dataId);
    const dtype = t.dtype as DType;
    let value: Value;
    if (captured) {
      this.graph.input(captured.name, captured);
      value = { name: captured.name, shape: captured.shape, dtype };
    } else {
      value = constantValue(tf.engine().readSync(t.dataId) as HostArray, t.shape, dtype);
    }
    this.#values.set(t.dataId, value);
    if (value.name !== undefined) this.graph.specs.set(value.name, value);
    return value;
  }

  // --- tfjs's backend interface ---

  override write(values: tf.BackendValues, shape: number[], dtype: tf.DataType): DataId {
    rejectHostRandomness();
    const dataId = {};
    this.#values.set(dataId, constantValue(values as HostArray, shape, dtype as DType));
    return dataId;
  }

  override move(dataId: DataId, values: tf.BackendValues, shape: number[], dtype: tf.DataType): void {
    this.#values.set(dataId, constantValue(values as HostArray, shape, dtype as DType));
  }

  override readSync(dataId: DataId): tf.BackendValues {
    const value = this.#values.get(dataId);
    if (value?.data) return value.data as tf.BackendValues;
    if (value?.uniform !== undefined) return allocate(value).fill(value.uniform) as tf.BackendValues;
    throw new UserError(
      `dataSync: a value was read while the model was compiled${modelLine()}; a compiled function has no values yet, ` +
        'so it cannot branch on them: express the choice with tf.where',
    );
  }

  override async read(dataId: DataId): Promise<tf.BackendValues> {
    return this.readSync(dataId);
  }

  // Tensors are names here: there is nothing to free.
  override disposeData(): boolean {
    return false;
  }
  override refCount(): number {
    return 1;
  }
  override incRef(): void {}
  override numDataIds(): number {
    return 0;
  }
  override memory(): { unreliable: boolean } {
    return { unreliable: true };
  }
  override floatPrecision(): 16 | 32 {
    return 32;
  }
  override epsilon(): number {
    return 1e-7;
  }
  override timerAvailable(): boolean {
    return false;
  }
}

function constantValue(values: ArrayLike<number>, shape: readonly number[], dtype: DType): Value {
  const data =
    dtype === 'float32'
      ? Float32Array.from(values)
      : dtype === 'int32'
        ? Int32Array.from(values)
        : Uint8Array.from(values);
  const first = data[0];
  const uniform = data.length > 0 && data.every((x) => x === first) ? first : undefined;
  return { shape, dtype, data, uniform };
}

export const tracer = new TracerBackend();
tf.registerBackend(TRACER, () => tracer as unknown as KernelBackend, 0);

/** What the function is being traced for; undefined while it runs eagerly. */
export const traceTarget = (): Target | undefined => (isTracing() ? tracer.target : undefined);

/** True while a function is being traced. */
export const isTracing = (): boolean => tf.getBackend() === TRACER;

/**
 * Runs `build` once on the tracing backend. It receives symbolic tensors for `inputs` and returns the named outputs.
 * The graph still wants its `finish()`.
 * @throws UserError that names the operation and the model's line, for what cannot be compiled.
 */
export function trace(
  build: (inputs: Record<string, tf.Tensor>) => Record<string, tf.Tensor>,
  inputs: Record<string, Spec>,
  captured: readonly CapturedVariable[] = [],
  target: Target = 'cpu',
): Graph {
  const graph = new Graph();
  const halves = new Map<string, string>();
  const host = tf.getBackend();
  const stackLimit = Error.stackTraceLimit;
  Error.stackTraceLimit = 60; // deep enough to find the model's own line below tfjs's frames
  tracer.start(graph, captured, target);
  tf.setBackend(TRACER);
  try {
    tf.tidy(() => {
      const symbols: Record<string, tf.Tensor> = {};
      for (const [name, spec] of Object.entries(inputs)) {
        graph.input(name, spec);
        const half = spec.dtype === 'float16';
        const wide = half ? graph.emit('Cast', [name], { to: ELEMENT_TYPE.float32 }) : name;
        if (half) halves.set(wide, name);
        const tensor = tracer.tensor(wide, spec.shape, half ? 'float32' : spec.dtype);
        symbols[name] = tf.engine().makeTensorFromTensorInfo(tensor);
      }
      for (const [name, t] of Object.entries(build(symbols))) {
        graph.output(name, { dtype: t.dtype as DType, shape: t.shape }, tracer.nameOf(t));
      }
    });
  } catch (error) {
    throw explain(error, (op) => tracer.placesOf(op));
  } finally {
    tf.setBackend(host);
    tracer.stop();
    Error.stackTraceLimit = stackLimit;
  }
  gatherBeforeCast(graph, halves);
  return graph;
}

/** Rows that are looked up in halves are widened after that, not the whole matrix before. @param halves by their float32 value */
function gatherBeforeCast(graph: Graph, halves: Map<string, string>): void {
  for (const node of halves.size ? graph.nodes.splice(0, Infinity) : []) {
    const half = halves.get(node.inputs[0]);
    if (node.op !== 'Gather' || !half) graph.nodes.push(node);
    else {
      const rows = graph.emit('Gather', [half, ...node.inputs.slice(1)], node.attributes);
      graph.nodes.push({ ...node, op: 'Cast', inputs: [rows], attributes: { to: ELEMENT_TYPE.float32 } });
    }
  }
}
