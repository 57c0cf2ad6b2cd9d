import { UserError } from '../common/errors.ts';
import type { Progress } from '../common/progress.ts';
import { seeded } from '../common/random.ts';
import type { LossSettings, TrainSettings } from '../configs/train-settings.ts';
import { dropItems } from '../data/augment.ts';
import { type Batch, Batches } from '../data/batches.ts';
import type { Dataset } from '../data/dataset.ts';
import { planWindows } from '../data/windows.ts';
import {
  cosineSchedule,
  type Device,
  type Feeds,
  linearSchedule,
  type OptimizerOptions,
  openOptimizer,
  type Parameters,
  type Stepper,
} from '../engine/index.ts';
import type { Metrics } from '../evaluation/metrics.ts';
import type { Recommender } from '../models/index.ts';
import type { EpochRecord, TrainingState } from './checkpoint.ts';
import { augmentedFeeds, type TextTable } from './objective.ts';
import { type Started, type TrainingStep, trainingStep } from './step.ts';

/** How many steps a device that computes by itself may be ahead of what is known of their losses. */
const AHEAD = 16;

/** What a training works on. */
export interface TrainerOptions {
  model: Recommender;
  parameters: Parameters;
  dataset: Dataset;
  text: TextTable;
  /** Vectors of the texts with words dropped, for a model whose own loss asks for them. */
  droppedText?: TextTable;
  settings: TrainSettings;
  loss: LossSettings;
  seed: number;
  device: Device;
  progress: Progress;
}

/** What happens between batches and epochs, in the hands of whoever owns the run folder. */
export interface TrainerHooks {
  /** Validation metrics of the present parameters. */
  validate(): Promise<Metrics>;
  /** An epoch has ended; `improved` says that it is the best so far. */
  onEpoch(record: EpochRecord, improved: boolean): Promise<void>;
  /** A good moment to write a checkpoint: after every batch, and with `force` at the end. */
  onCheckpoint(state: TrainingState, force: boolean): Promise<void>;
}

/** Trains a model with early stopping on a validation metric. */
export class Trainer {
  readonly optimizer: Stepper;
  readonly state: TrainingState = {
    epoch: 1,
    batch: 0,
    lossSum: 0,
    lossTargets: 0,
    seconds: 0,
    optimizerSteps: 0,
    best: { epoch: 0, score: -1, badEpochs: 0 },
    records: [],
  };
  readonly #options: TrainerOptions;
  readonly #batches: Batches;
  readonly #step: TrainingStep;
  /** Losses of steps that a device may still be at. */
  readonly #unread: { loss: Started['loss']; targets: number; step: number }[] = [];
  readonly #ahead: boolean;

  constructor(options: TrainerOptions) {
    const { model, parameters, dataset, settings } = options;
    this.#options = options;
    this.#ahead = options.device.resident ?? false;
    if (!dataset.train.target.length)
      throw new UserError('there are no rows to train on: the training split of the dataset is empty');
    // A loss of the model's own compares one history a row with another view of it.
    const mode = model.loss ? 'rows' : settings.windows;
    const windows = planWindows(dataset.train, settings.maxHistory, mode);
    this.#batches = new Batches(dataset.pool, windows, settings.batchSize);
    this.#step = trainingStep({ ...options, parts: settings.parts });
    const adam: OptimizerOptions = {
      type: settings.optimizer,
      learningRate: settings.learningRate,
      weightDecay: settings.weightDecay,
      clipNorm: settings.clipNorm || undefined,
      schedule: this.#schedule(),
    };
    this.optimizer = openOptimizer(parameters, adam, options.device);
  }

  #schedule() {
    const { schedule, warmupSteps, epochs } = this.#options.settings;
    const total = epochs * this.#batches.count;
    if (schedule === 'linear') return linearSchedule(warmupSteps, total);
    if (schedule === 'cosine') return cosineSchedule(warmupSteps, total);
    return warmupSteps ? (step: number) => Math.min(1, step / warmupSteps) : undefined;
  }

  /**
   * Trains until the epochs or the patience are used up, or pauses after epoch `until`. Paused or interrupted, it
   * leaves a state to take up again.
   */
  async run(hooks: TrainerHooks, until = Number.POSITIVE_INFINITY): Promise<void> {
    const { settings } = this.#options;
    const { state } = this;
    while (!state.stop && state.epoch <= until) {
      await this.#trainEpoch(hooks);
      const started = performance.now();
      const valid = await hooks.validate();
      const improved = this.#judge(valid);
      const record: EpochRecord = {
        epoch: state.epoch,
        loss: state.lossSum / state.lossTargets,
        valid,
        trainSeconds: state.seconds,
        evalSeconds: (performance.now() - started) / 1000,
        learningRate: this.optimizer.learningRate,
      };
      state.records.push(record);
      if (state.best.badEpochs > settings.patience) {
        state.stop = `no better ${settings.metric} in ${state.best.badEpochs} epochs`;
      } else if (state.epoch === settings.epochs) state.stop = `all ${settings.epochs} epochs`;
      Object.assign(state, { epoch: state.epoch + 1, batch: 0, lossSum: 0, lossTargets: 0, seconds: 0 });
      await hooks.onEpoch(record, improved);
      await hooks.onCheckpoint(state, state.stop !== undefined || state.epoch > until);
    }
  }

  async #trainEpoch(hooks: TrainerHooks): Promise<void> {
    const { progress, seed } = this.#options;
    const { state, optimizer } = this;
    const plan = this.#batches.epoch(seed, state.epoch);
    progress.begin(`epoch ${state.epoch}`, 'steps', plan.count);
    let started = performance.now();
    while (state.batch < plan.count) {
      const batch = plan.batch(state.batch);
      const step = optimizer.steps + 1;
      const { loss, rows } = await this.#step.start(batch, { seed, step }, this.#augment(batch, step));
      this.#unread.push({ loss, targets: batch.targetCount, step: state.batch + 1 });
      if (!this.#ahead || this.#unread.length === AHEAD) await this.settle();
      await optimizer.step(rows);
      state.optimizerSteps = optimizer.steps;
      state.batch++;
      const now = performance.now();
      state.seconds += (now - started) / 1000;
      started = now;
      if (state.batch < plan.count) await hooks.onCheckpoint(state, false);
      progress.advance(state.batch, plan.count);
    }
    await this.settle();
    state.seconds += (performance.now() - started) / 1000;
    progress.end();
  }

  /** Reads the losses that are still on the device: `state` is whole then. */
  async settle(): Promise<void> {
    for (const { loss, targets, step } of this.#unread.splice(0, Infinity)) {
      const value = await loss();
      this.#checkLoss(value, step);
      this.state.lossSum += value * targets;
      this.state.lossTargets += targets;
    }
  }

  /** The other view of a batch for a model's own loss: with items dropped, or with words of all texts. */
  #augment(batch: Batch, step: number): Feeds {
    const { model, seed, droppedText } = this.#options;
    if (!model.loss) return {};
    const words = droppedText !== undefined && seeded(seed, 'augmentation', step).uniform() < 0.5;
    const rate = words ? 0 : (model.augmentation?.dropItems ?? 0);
    return augmentedFeeds(batch, dropItems(batch, rate, seed, step), words ? droppedText : undefined);
  }

  #checkLoss(loss: number, step: number): void {
    if (Number.isFinite(loss)) return;
    const { epoch } = this.state;
    // Before the first update nothing has been learned at whatever rate.
    const cause =
      step === 1 && epoch === 1
        ? ', before anything was learned: the model or what it reads holds NaN or infinity; for a plugin, rec check FILE looks for it'
        : `; lower train.learningRate (now ${this.optimizer.learningRate}), or set train.clipNorm, e.g. --set train.clipNorm=1`;
    throw new UserError(`training diverged: the loss is ${loss} at epoch ${epoch}, step ${step}${cause}`);
  }

  /** Early stopping as RecBole does it: the metric rounded to four decimals, a tie counts as an improvement. */
  #judge(valid: Metrics): boolean {
    const { metric } = this.#options.settings;
    const { best } = this.state;
    const score = Math.round(valid[metric] * 1e4);
    if (score < best.score) {
      best.badEpochs++;
      return false;
    }
    this.state.best = { epoch: this.state.epoch, score, badEpochs: 0 };
    return true;
  }

  close(): Promise<void> {
    return this.#step.close();
  }
}
