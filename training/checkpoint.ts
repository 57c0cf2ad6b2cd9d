import { UserError } from '../common/errors.ts';
import {
  asFloat32,
  readSafetensors,
  requireTensor,
  type Safetensors,
  writeSafetensors,
} from '../common/safetensors.ts';
import type { Parameters, Stepper } from '../engine/index.ts';

/** One epoch's line of metrics.jsonl. */
export interface EpochRecord {
  epoch: number;
  /** Optimizer steps, where records are not one an epoch. */
  step?: number;
  loss: number;
  valid: Record<string, number>;
  trainSeconds: number;
  evalSeconds: number;
  learningRate: number;
}

/** Where a training stands: all that a resumed one needs besides tensors. */
export interface TrainingState {
  /** Epoch in progress, from 1, and the batches of it that are done. */
  epoch: number;
  batch: number;
  /** Sum of the losses of those batches, weighted by their targets, and the targets. */
  lossSum: number;
  lossTargets: number;
  /** Training seconds of the epoch so far. */
  seconds: number;
  optimizerSteps: number;
  /**
   * The best validation so far, and how many came after it. A higher score is better: a run's is its metric in ten
   * thousandths, rounded; a pretraining's is its loss, negated.
   */
  best: { epoch: number; score: number; badEpochs: number };
  records: EpochRecord[];
  /** Set once training is over: why it stopped. */
  stop?: string;
}

const MOMENTS = { first: 'optimizer.first.', second: 'optimizer.second.' } as const;

/** Writes parameters, Adam moments and the state into one file, atomically. */
export async function saveCheckpoint(
  path: string,
  parameters: Parameters,
  state: TrainingState,
): Promise<void> {
  await parameters.fetch();
  const tensors = new Map(parameterTensors(parameters));
  for (const [moment, prefix] of Object.entries(MOMENTS)) {
    for (const { name, shape } of parameters.trainable()) {
      tensors.set(prefix + name, {
        dtype: 'F32',
        shape,
        data: parameters.view(name, moment as 'first' | 'second'),
      });
    }
  }
  await writeSafetensors(path, tensors, { format: 'rec-checkpoint', state: JSON.stringify(state) });
}

/** Puts a checkpoint's tensors back into the parameters and the optimizer, and returns the state. */
export async function loadCheckpoint(
  path: string,
  parameters: Parameters,
  optimizer: Stepper,
): Promise<TrainingState> {
  const file = await readSafetensors(path);
  const state = stateOf(file);
  copyParameters(file, parameters);
  for (const [moment, prefix] of Object.entries(MOMENTS)) {
    for (const { name, shape } of parameters.trainable()) {
      parameters.view(name, moment as 'first' | 'second').set(floatsOf(file, prefix + name, shape));
    }
  }
  parameters.changed();
  optimizer.steps = state.optimizerSteps;
  return state;
}

function stateOf({ path, metadata }: Safetensors): TrainingState {
  try {
    const state = JSON.parse(metadata.state ?? 'null') as TrainingState | null;
    if (state) return state;
  } catch {
    // Told below: to the user, a state that cannot be read is none.
  }
  throw new UserError(`${path}: has no training state; it is not a checkpoint to resume from`);
}

/** Writes the parameters alone: a model to use. */
export async function saveParameters(
  path: string,
  parameters: Parameters,
  metadata: Record<string, string>,
): Promise<void> {
  await parameters.fetch();
  await writeSafetensors(path, parameterTensors(parameters), metadata);
}

/** Reads all parameters of a model. @throws UserError for a missing tensor or another shape. */
export async function loadParameters(path: string, parameters: Parameters): Promise<void> {
  copyParameters(await readSafetensors(path), parameters);
  parameters.changed();
}

/**
 * Starts from another model: copies the tensors whose name and shape agree.
 * @returns the names of the parameters that found none
 */
export async function initializeFrom(path: string, parameters: Parameters): Promise<string[]> {
  const file = await readSafetensors(path, { float32: true });
  const fresh: string[] = [];
  for (const { name, shape, values } of parameters.all()) {
    const tensor = file.tensors.get(name);
    if (tensor?.data instanceof Float32Array && String(tensor.shape) === String(shape))
      values.set(tensor.data);
    else fresh.push(name);
  }
  parameters.changed();
  if (fresh.length === parameters.all().length) {
    throw new UserError(
      `${path}: no tensor of it has the name and shape of one of this model's (train.init)`,
    );
  }
  return fresh;
}

function parameterTensors(
  parameters: Parameters,
): Map<string, { dtype: 'F32'; shape: readonly number[]; data: Float32Array }> {
  return new Map(
    parameters.all().map(({ name, shape, values }) => [name, { dtype: 'F32', shape, data: values }]),
  );
}

function copyParameters(file: Safetensors, parameters: Parameters): void {
  for (const { name, shape, values } of parameters.all()) {
    values.set(floatsOf(file, name, shape));
  }
}

function floatsOf(file: Safetensors, name: string, shape: readonly number[]): Float32Array {
  return asFloat32(requireTensor(file, name, shape), `${file.path}: tensor '${name}'`);
}
