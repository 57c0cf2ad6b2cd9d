import type { InferenceSession } from 'onnxruntime-node';
import { Graph, type HostTensor } from '../../graph.ts';
import { encodeOnnx } from '../../onnx.ts';
import { coefficientsAt, learningRateAt, type OptimizerOptions, type Stepper } from '../../optimizer.ts';
import type { Parameters } from '../../parameters.ts';
import { type Group, inputOf, type Part, ResidentParameters } from './resident.ts';
import { createGpuSession, type GpuTensor, hostTensor, runGpu } from './runtime.ts';

/** What changes from step to step, in this order. */
const COEFFICIENTS = 'coefficients';
const CHANGED = ['value', 'first', 'second'] as const satisfies readonly Part[];
const outputOf = (group: Group, part: Part) => `new ${inputOf(group, part)}`;

/** Adam as a graph on the card, over groups of parameters: the numbers of `Optimizer`, within rounding. */
export class ResidentOptimizer implements Stepper {
  readonly #resident: ResidentParameters;
  readonly #options: OptimizerOptions;
  readonly #strict: boolean;
  #session: Promise<InferenceSession> | undefined;
  steps = 0;

  constructor(parameters: Parameters, options: OptimizerOptions, strict: boolean) {
    this.#resident = ResidentParameters.of(parameters);
    this.#options = options;
    this.#strict = strict;
  }

  get learningRate(): number {
    return learningRateAt(this.#options, this.steps + 1);
  }

  async step(): Promise<undefined> {
    const { rateT, epsilonT, keep } = coefficientsAt(this.#options, ++this.steps);
    const groups = this.#resident.groups.filter(({ trainable, lazy }) => trainable && !lazy);
    this.#session ??= createGpuSession(encodeOnnx(adamGraph(groups, this.#options)), {
      resident: groups.flatMap((group) => CHANGED.map((part) => outputOf(group, part))),
      strict: this.#strict,
    });
    const coefficients: HostTensor = {
      dtype: 'float32',
      shape: [3],
      data: Float32Array.of(rateT, epsilonT, keep),
    };
    const feeds: Record<string, GpuTensor> = { [COEFFICIENTS]: await hostTensor(coefficients) };
    for (const group of groups)
      for (const part of [...CHANGED, 'gradient'] as const)
        feeds[inputOf(group, part)] = await this.#resident.tensor(group, part);
    const results = await runGpu(await this.#session, feeds);
    for (const group of groups)
      for (const part of CHANGED) this.#resident.replace(group, part, results[outputOf(group, part)]);
  }
}

function adamGraph(groups: readonly Group[], options: OptimizerOptions): Graph {
  // Rounded where the host's kernels round.
  const [beta1, beta2] = [coefficientsAt(options, 1)].flatMap(({ beta1, beta2 }) =>
    [beta1, beta2].map(Math.fround),
  );
  const graph = new Graph();
  const emit = (op: string, ...inputs: string[]) => graph.emit(op, inputs);
  const times = (x: string, factor: number) => emit('Mul', x, graph.scalar(factor));
  graph.input(COEFFICIENTS, { dtype: 'float32', shape: [3] });
  const [rate, epsilon, keep] = graph.emitMany('Split', 3, [COEFFICIENTS, graph.ints([1, 1, 1])], {
    axis: 0,
  });
  for (const group of groups)
    for (const part of [...CHANGED, 'gradient'] as const)
      graph.input(inputOf(group, part), { dtype: 'float32', shape: group.shape });
  const factor = clipFactor(graph, groups, options.clipNorm);
  for (const group of groups) {
    const [value, first, second, raw] = ([...CHANGED, 'gradient'] as const).map((part) =>
      inputOf(group, part),
    );
    const gradient = factor ? emit('Mul', raw, factor) : raw;
    const m = emit('Add', times(first, beta1), times(gradient, 1 - beta1));
    const v = emit('Add', times(second, beta2), times(emit('Mul', gradient, gradient), 1 - beta2));
    const change = emit('Div', emit('Mul', m, rate), emit('Add', emit('Sqrt', v), epsilon));
    const kept = options.type === 'adamw' ? emit('Mul', value, keep) : value;
    const changed = { value: emit('Sub', kept, change), first: m, second: v };
    for (const part of CHANGED)
      graph.output(outputOf(group, part), { dtype: 'float32', shape: group.shape }, changed[part]);
  }
  graph.finish();
  return graph;
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
