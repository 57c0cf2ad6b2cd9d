import type { Device } from './devices/contract.ts';
import type { Parameters, Segment } from './parameters.ts';
import { fallbackKernels } from './wasm/fallback.ts';
import type { Kernels } from './wasm/kernels.ts';

export interface OptimizerOptions {
  /** 'adamw' decouples the weight decay from the gradient (Loshchilov and Hutter, 2019). */
  type: 'adam' | 'adamw';
  learningRate: number;
  beta1?: number;
  beta2?: number;
  epsilon?: number;
  /** adamw only: parameters shrink by learningRate x weightDecay a step. */
  weightDecay?: number;
  /** Largest L2 norm of all gradients together; larger ones are scaled down to it. */
  clipNorm?: number;
  schedule?: Schedule;
}

/** Factor on the learning rate at a step, counted from 1. */
export type Schedule = (step: number) => number;

/** Linear warm-up over `warmup` steps, then linear decay to zero at `total` steps. */
export const linearSchedule =
  (warmup: number, total: number): Schedule =>
  (step) =>
    step <= warmup
      ? step / Math.max(1, warmup)
      : Math.max(0, (total - step + 1) / Math.max(1, total - warmup));

/** Linear warm-up over `warmup` steps, then the half cosine down to zero at `total` steps. */
export const cosineSchedule =
  (warmup: number, total: number): Schedule =>
  (step) =>
    step <= warmup
      ? step / Math.max(1, warmup)
      : 0.5 * (1 + Math.cos(Math.PI * Math.min(1, (step - warmup) / Math.max(1, total - warmup))));

/** Gradients of some rows of a lazy parameter. */
export interface RowGradients {
  /** Name of the parameter, [items, width]. */
  name: string;
  /** [rows] which rows, each at most once, or, where there is no `gradient`, any times. */
  ids: Int32Array;
  /** [at least rows, width]; undefined where the device has the gradient of the whole table. */
  gradient?: Float32Array;
}

/** An optimizer, wherever the parameters are. */
export interface Stepper {
  /** Steps taken so far. */
  steps: number;
  /** The learning rate of the next step. */
  readonly learningRate: number;
  /**
   * Applies the gradients that lie where a compiled loss left them, and those of lazy parameters' rows. Returns the norm
   * before clipping, where clipping is on and the host knows it.
   */
  step(rows?: readonly RowGradients[]): Promise<number | undefined> | number | undefined;
}

/** Adam on the device that has the gradients. */
export function openOptimizer(parameters: Parameters, options: OptimizerOptions, device: Device): Stepper {
  return device.optimizer?.(parameters, options) ?? new Optimizer(parameters, options);
}

/** What Adam needs to know at one step. */
export interface Coefficients {
  rateT: number;
  epsilonT: number;
  beta1: number;
  beta2: number;
  keep: number;
}

export const learningRateAt = ({ learningRate, schedule }: OptimizerOptions, step: number): number =>
  learningRate * (schedule?.(step) ?? 1);

/** The coefficients of a step, counted from 1. */
export function coefficientsAt(options: OptimizerOptions, step: number): Coefficients {
  const { type, beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8, weightDecay = 0 } = options;
  const rate = learningRateAt(options, step);
  const correction = Math.sqrt(1 - beta2 ** step);
  return {
    rateT: (rate * correction) / (1 - beta1 ** step),
    epsilonT: epsilon * correction,
    beta1,
    beta2,
    keep: type === 'adamw' ? 1 - rate * weightDecay : 1,
  };
}

/**
 * Adam (Kingma and Ba, 2015) over the arenas of a model's parameters. Lazy parameters take a step in the rows that are
 * given, as if the others had not been in the model: their moments rest too (TensorFlow's LazyAdam).
 */
export class Optimizer implements Stepper {
  readonly #parameters: Parameters;
  readonly #options: OptimizerOptions;
  /** Steps taken so far. */
  steps = 0;

  constructor(parameters: Parameters, options: OptimizerOptions) {
    this.#parameters = parameters;
    this.#options = options;
    parameters.segments();
  }

  /** The learning rate of the next step. */
  get learningRate(): number {
    return learningRateAt(this.#options, this.steps + 1);
  }

  /** L2 norm of all gradients together. */
  gradientNorm(rows: readonly RowGradients[] = []): number {
    let sum = 0;
    for (const { arena, length } of this.#dense()) sum += arena.kernels.sumSquares(length * 12, length);
    for (const { name, ids, gradient } of rows) {
      const length = ids.length * this.#parameters.get(name).shape[1];
      for (let i = 0; i < length; i++) sum += gradient![i] ** 2;
    }
    return Math.sqrt(sum);
  }

  #dense(): Segment[] {
    return this.#parameters.segments().filter(({ lazy }) => !lazy);
  }

  /**
   * Applies the gradients that lie in the arenas, and those of lazy parameters' rows. Returns the norm before clipping,
   * where clipping is on.
   */
  step(rows: readonly RowGradients[] = []): number | undefined {
    const { clipNorm } = this.#options;
    const at = coefficientsAt(this.#options, ++this.steps);
    const norm = clipNorm === undefined ? undefined : this.gradientNorm(rows);
    const factor = norm !== undefined && norm > clipNorm! ? clipNorm! / norm : 1;
    for (const { arena, length: n } of this.#dense()) {
      if (factor !== 1) arena.kernels.scale(n * 12, n, factor);
      adam(arena.kernels, { offset: 0, length: n }, n, at);
    }
    for (const part of rows) this.#stepRows(part, factor, at);
    return norm;
  }

  #stepRows({ name, ids, gradient }: RowGradients, factor: number, at: Coefficients): void {
    const { slot, shape } = this.#parameters.get(name);
    if (!slot?.segment.lazy) throw new Error(`parameter '${name}' is not a lazy one`);
    const width = shape[1];
    const { arena, length } = slot.segment;
    // The SIMD kernels take four elements at a time.
    const kernels = width % 4 ? fallbackKernels(arena.buffer) : arena.kernels;
    const home = this.#parameters.view(name, 'gradient');
    for (let r = 0; r < ids.length; r++) {
      for (let j = 0; j < width; j++) home[ids[r] * width + j] = factor * gradient![r * width + j];
      adam(kernels, { offset: slot.offset + ids[r] * width, length: width }, length, at);
    }
  }
}

/** One step over elements of an arena whose quarters are `quarter` elements long. */
function adam(
  kernels: Kernels,
  { offset, length }: { offset: number; length: number },
  quarter: number,
  { rateT, epsilonT, beta1, beta2, keep }: Coefficients,
): void {
  const [p, m, v, g] = [0, 1, 2, 3].map((i) => 4 * (i * quarter + offset));
  kernels.adam(p, m, v, g, length, rateT, epsilonT, beta1, beta2, keep);
}
