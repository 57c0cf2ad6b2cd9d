import type { Parameters } from './parameters.ts';

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

/** Adam (Kingma and Ba, 2015) over the arenas of a model's parameters. */
export class Optimizer {
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
    return this.#options.learningRate * (this.#options.schedule?.(this.steps + 1) ?? 1);
  }

  /** L2 norm of all gradients together. */
  gradientNorm(): number {
    let sum = 0;
    for (const { arena, length } of this.#parameters.segments())
      sum += arena.kernels.sumSquares(length * 12, length);
    return Math.sqrt(sum);
  }

  /** Applies the gradients that lie in the arenas. Returns their norm before clipping, where clipping is on. */
  step(): number | undefined {
    const { type, beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8, weightDecay = 0, clipNorm } = this.#options;
    const rate = this.learningRate;
    this.steps++;
    const correction = Math.sqrt(1 - beta2 ** this.steps);
    const rateT = (rate * correction) / (1 - beta1 ** this.steps);
    const keep = type === 'adamw' ? 1 - rate * weightDecay : 1;
    const norm = clipNorm === undefined ? undefined : this.gradientNorm();
    for (const { arena, length: n } of this.#parameters.segments()) {
      if (norm !== undefined && norm > clipNorm!) arena.kernels.scale(n * 12, n, clipNorm! / norm);
      arena.kernels.adam(0, n * 4, n * 8, n * 12, n, rateT, epsilon * correction, beta1, beta2, keep);
    }
    return norm;
  }
}
