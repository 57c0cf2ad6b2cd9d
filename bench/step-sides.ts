import { lossSettings } from '../configs/train-settings.ts';
import type { Batch } from '../data/batches.ts';
import type { Rows } from '../data/dataset.ts';
import { type Device, type HostTensor, openOptimizer, Parameters, type Stepper } from '../engine/index.ts';
import { models } from '../models/index.ts';
import { type TrainingStep, trainingStep } from '../training/step.ts';
import { type Torch, TorchProcess } from './peers/torch.ts';
import { type StepShape, syntheticTexts } from './step-shapes.ts';

/** Batches that steps go round. */
export const BATCHES = 4;
const LEARNING_RATE = 1e-3;

/** Some steps in a row: milliseconds and loss of each, and CPU milliseconds of all threads together. */
export interface Block {
  ms: number[];
  losses: number[];
  cpuMs: number;
}

/** Whoever trains: it goes on where its last block ended. */
export interface Side {
  steps(count: number): Promise<Block>;
  close(): Promise<void>;
}

/** The full softmax looks at no rows but the batch's. */
const noRows: Rows = {
  user: new Int32Array(),
  start: new Int32Array(),
  end: new Int32Array(),
  target: new Int32Array(),
};

/** What the trainer does in a step, with the models, loss, parts of a batch and optimizer that it uses. */
export class OwnSide implements Side {
  readonly parameters = new Parameters({ seed: 1 });
  readonly #batches: readonly Batch[];
  readonly #step: TrainingStep;
  readonly #optimizer: Stepper;

  constructor(shape: StepShape, batches: readonly Batch[], device: Device) {
    const { items, length, settings, textDims } = shape;
    const { parameters } = this;
    const definition = models.get(shape.model);
    const context = { itemCount: items, textDims, maxHistory: length, parameters };
    if (definition.kind !== 'trained') throw new Error(`${shape.model} is not trained`);
    const model = definition.build(definition.config.parse(settings), context);
    this.#batches = batches;
    this.#step = trainingStep({
      model,
      parameters,
      dataset: { itemCount: items, train: noRows },
      text: syntheticTexts(shape),
      loss: lossSettings.parse({}),
      seed: 1,
      device,
    });
    this.#optimizer = openOptimizer(parameters, { type: 'adam', learningRate: LEARNING_RATE }, device);
  }

  async steps(count: number): Promise<Block> {
    const block: Block = { ms: [], losses: [], cpuMs: 0 };
    const before = process.cpuUsage();
    for (let i = 0; i < count; i++) {
      const step = this.#optimizer.steps;
      const started = performance.now();
      const batch = this.#batches[step % this.#batches.length];
      const { loss, rows } = await this.#step.run(batch, { seed: 1, step: step + 1 });
      await this.#optimizer.step(rows);
      block.ms.push(performance.now() - started);
      block.losses.push(loss);
    }
    const { user, system } = process.cpuUsage(before);
    block.cpuMs = (user + system) / 1000;
    return block;
  }

  async close(): Promise<void> {
    await this.#step.close();
    this.parameters.dispose();
  }
}

/** The same step in PyTorch. */
export class TorchSide implements Side {
  readonly #process: TorchProcess;

  private constructor(process: TorchProcess) {
    this.#process = process;
  }

  static async start(
    shape: StepShape,
    batches: readonly Batch[],
    { threads, tuned }: { threads: number; tuned: boolean },
    torch: Torch,
  ): Promise<TorchSide> {
    const { model, items, length, textDims, settings, ...sizes } = shape;
    const spec = { model, items, length, textDims, settings, threads, tuned, learningRate: LEARNING_RATE };
    const process = new TorchProcess(torch, './torch_step.py', spec);
    const everyPosition = sizes.targets === sizes.batch * length;
    const texts = syntheticTexts(shape);
    if (texts) await process.ask({ texts: rowsOf(texts) });
    await process.ask({
      batches: batches.map(({ history, positions, target }) => ({
        history: Array.from({ length: sizes.batch }, (_, row) => [
          ...history.subarray(row * length, (row + 1) * length),
        ]),
        positions: everyPosition ? null : [...positions],
        target: [...target],
      })),
    });
    return new TorchSide(process);
  }

  /** Starts from our parameters. */
  async load(parameters: Parameters): Promise<void> {
    const values = parameters
      .all()
      .map(({ name, shape, values }) => [name, { shape, values: [...values] }] as const);
    await this.#process.ask({ parameters: Object.fromEntries(values) });
  }

  steps(count: number): Promise<Block> {
    return this.#process.ask<Block>({ steps: count });
  }

  close(): Promise<void> {
    return this.#process.close();
  }
}

function rowsOf({ shape, data }: HostTensor): number[][] {
  const [rows, width] = shape;
  return Array.from({ length: rows }, (_, i) => [...data.subarray(i * width, (i + 1) * width)]);
}
