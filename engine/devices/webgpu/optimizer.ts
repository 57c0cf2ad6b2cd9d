import type { InferenceSession } from 'onnxruntime-node';
import { Graph } from '../../graph.ts';
import { ELEMENT_TYPE, encodeOnnx } from '../../onnx.ts';
import {
  coefficientsAt,
  learningRateAt,
  type OptimizerOptions,
  type RowGradients,
  type Stepper,
} from '../../optimizer.ts';
import type { Parameters } from '../../parameters.ts';
import { type CardOptions, type Group, inputOf, type Part, ResidentParameters } from './resident.ts';
import { createGpuSession, type GpuTensor, hostTensor, runGpu } from './runtime.ts';

/** What changes from step to step, in this order. */
const COEFFICIENTS = 'coefficients';
const CHANGED = ['value', 'first', 'second'] as const satisfies readonly Part[];
const READ = [...CHANGED, 'gradient'] as const;
/** The input that lists the rows of a lazy table that take the step, each once or more often. */
const rowsOf = (group: Group) => `rows of ${group.name}`;
const outputOf = (group: Group, part: Part) => `new ${inputOf(group, part)}`;

/** Adam as a graph on the card, over groups of parameters: the numbers of `Optimizer`, within rounding. */
export class ResidentOptimizer implements Stepper {
  readonly #resident: ResidentParameters;
  readonly #options: OptimizerOptions;
  readonly #strict: boolean;
  /** One for every set of tables that take a step. */
  readonly #sessions = new Map<string, Promise<InferenceSession>>();
  steps = 0;

  constructor(parameters: Parameters, options: OptimizerOptions, { strict, blockBytes }: CardOptions) {
    this.#resident = ResidentParameters.of(parameters, blockBytes);
    this.#options = options;
    this.#strict = strict;
  }

  get learningRate(): number {
    return learningRateAt(this.#options, this.steps + 1);
  }

  async step(rows: readonly RowGradients[] = []): Promise<undefined> {
    const { rateT, epsilonT, keep } = coefficientsAt(this.#options, ++this.steps);
    const trained = new Map<Group, Int32Array>();
    for (const group of this.#resident.groups) {
      const ids = group.lazy ? rowsIn(group, rows) : undefined;
      if (ids?.length) trained.set(group, ids);
    }
    const groups = this.#resident.groups.filter(
      (group) => group.trainable && (!group.lazy || trained.has(group)),
    );
    const session = await this.#session(groups);
    const coefficients = Float32Array.of(rateT, epsilonT, keep);
    const feeds: Record<string, GpuTensor> = {
      [COEFFICIENTS]: await hostTensor({ dtype: 'float32', shape: [3], data: coefficients }),
    };
    for (const group of groups) {
      for (const part of READ) feeds[inputOf(group, part)] = await this.#resident.tensor(group, part);
      const data = trained.get(group);
      if (data) feeds[rowsOf(group)] = await hostTensor({ dtype: 'int32', shape: [data.length], data });
    }
    const results = await runGpu(session, feeds);
    for (const group of groups)
      for (const part of CHANGED) this.#resident.replace(group, part, results[outputOf(group, part)]);
  }

  #session(groups: readonly Group[]): Promise<InferenceSession> {
    const key = groups.map(({ name }) => name).join();
    const session =
      this.#sessions.get(key) ??
      createGpuSession(encodeOnnx(adamGraph(groups, this.#options)), {
        resident: groups.flatMap((group) => CHANGED.map((part) => outputOf(group, part))),
        strict: this.#strict,
      });
    this.#sessions.set(key, session);
    return session;
  }
}

/** Which rows of a lazy group take the step. */
function rowsIn(
  { pieces: [{ parameter, firstRow, shape }] }: Group,
  rows: readonly RowGradients[],
): Int32Array | undefined {
  const ids = rows.find(({ name }) => name === parameter.name)?.ids;
  if (shape === parameter.shape) return ids;
  return ids?.filter((id) => id >= firstRow && id < firstRow + shape[0]).map((id) => id - firstRow);
}

function adamGraph(groups: readonly Group[], options: OptimizerOptions): Graph {
  // Rounded where the host's kernels round.
  const { beta1, beta2 } = coefficientsAt(options, 1);
  const [decay1, decay2] = [Math.fround(beta1), Math.fround(beta2)];
  const graph = new Graph();
  const emit = (op: string, ...inputs: string[]) => graph.emit(op, inputs);
  const times = (x: string, factor: number) => emit('Mul', x, graph.scalar(factor));
  graph.input(COEFFICIENTS, { dtype: 'float32', shape: [3] });
  const [rate, epsilon, keep] = graph.emitMany('Split', 3, [COEFFICIENTS, graph.ints([1, 1, 1])], {
    axis: 0,
  });
  for (const group of groups)
    for (const part of READ) graph.input(inputOf(group, part), { dtype: 'float32', shape: group.shape });
  const factor = clipFactor(graph, groups, options.clipNorm);
  for (const group of groups) {
    const [value, first, second, raw] = READ.map((part) => inputOf(group, part));
    const gradient = factor ? emit('Mul', raw, factor) : raw;
    const m = emit('Add', times(first, decay1), times(gradient, 1 - decay1));
    const v = emit('Add', times(second, decay2), times(emit('Mul', gradient, gradient), 1 - decay2));
    const change = emit('Div', emit('Mul', m, rate), emit('Add', emit('Sqrt', v), epsilon));
    const kept = options.type === 'adamw' ? emit('Mul', value, keep) : value;
    const changed = { value: emit('Sub', kept, change), first: m, second: v };
    const touched = group.lazy ? touchedRows(graph, group) : undefined;
    for (const part of CHANGED) {
      const result = touched ? emit('Where', touched, changed[part], inputOf(group, part)) : changed[part];
      graph.output(outputOf(group, part), { dtype: 'float32', shape: group.shape }, result);
    }
  }
  graph.finish();
  return graph;
}

/**
 * Which rows of a lazy table take the step: [items, 1] bool. New tensors are written whole on the card, so that a pass over
 * all rows costs what writing some of them would.
 */
function touchedRows(graph: Graph, group: Group): string {
  const [items] = group.shape;
  const rows = rowsOf(group);
  graph.input(rows, { dtype: 'int32', shape: [-1] });
  const ones = graph.emit('Cast', [graph.emit('Equal', [rows, rows])], { to: ELEMENT_TYPE.float32 });
  const marks = graph.emit('ScatterElements', [graph.filled([items], 0, 'float32'), rows, ones], { axis: 0 });
  const column = graph.emit('Reshape', [marks, graph.ints([items, 1])]);
  return graph.emit('Greater', [column, graph.scalar(0)]);
}

/** What gradients are multiplied by so that their norm is at most `clipNorm`. */
function clipFactor(
  graph: Graph,
  groups: readonly Group[],
  clipNorm: number | undefined,
): string | undefined {
  if (clipNorm === undefined) return undefined;
  const squares = groups.map((group) => {
    const gradient = inputOf(group, 'gradient');
    const axes = graph.ints(group.shape.map((_, i) => i));
    return graph.emit('ReduceSum', [graph.emit('Mul', [gradient, gradient]), axes], { keepdims: 0 });
  });
  const sum = squares.reduce((a, b) => graph.emit('Add', [a, b]));
  const limit = graph.emit('Div', [graph.scalar(clipNorm), graph.emit('Sqrt', [sum])]);
  return graph.emit('Min', [limit, graph.scalar(1)]);
}
