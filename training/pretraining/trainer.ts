import { UserError } from '../../common/errors.ts';
import type { Progress } from '../../common/progress.ts';
import { seeded } from '../../common/random.ts';
import { type PairTokens, planBatches } from '../../encoders/pretraining/corpus.ts';
import { type Losses, PretrainingStep, type StepOptions } from '../../encoders/pretraining/step.ts';
import { linearSchedule, openOptimizer, type Stepper } from '../../engine/index.ts';
import type { Metrics } from '../../evaluation/metrics.ts';
import type { EpochRecord, TrainingState } from '../checkpoint.ts';
import type { PretrainingSettings } from './settings.ts';

/** What happens between steps, in the hands of whoever owns the run folder. */
export interface PretrainingHooks {
  validate(): Promise<Metrics>;
  /** A validation is done; `kept` says that this checkpoint is the encoder, unless a later one is. */
  onRecord(record: EpochRecord, kept: boolean): Promise<void>;
  /** After every step, and with `force` at the end. */
  onCheckpoint(force: boolean): Promise<void>;
}

/** Pretrains an encoder for some epochs; the checkpoint of the least validation loss is kept, or the last. */
export class PretrainingTrainer {
  readonly optimizer: Stepper;
  /** `epoch` counts from 1, `batch` the steps of it that are done, loss sums those since the last validation. */
  readonly state: TrainingState = {
    epoch: 1,
    batch: 0,
    lossSum: 0,
    lossTargets: 0,
    seconds: 0,
    optimizerSteps: 0,
    best: { epoch: 0, score: -Number.MAX_VALUE, badEpochs: 0 },
    records: [],
  };
  readonly #settings: PretrainingSettings;
  readonly #pairs: PairTokens;
  readonly #step: PretrainingStep;
  readonly #progress: Progress;
  /** Steps of a whole epoch; with distinct items another epoch may have one less or more. */
  readonly stepsPerEpoch: number;

  constructor(settings: PretrainingSettings, pairs: PairTokens, options: StepOptions, progress: Progress) {
    const { batchSize, epochs, learningRate, warmup, weightDecay, clipNorm } = settings.train;
    this.#settings = settings;
    this.#pairs = pairs;
    this.#progress = progress;
    this.stepsPerEpoch = this.#plan(1).length;
    if (!this.stepsPerEpoch)
      throw new UserError(
        `train.batchSize ${batchSize} is more than the ${pairs.itemOf.length} pairs to train on` +
          `${settings.train.distinctItems ? ` about ${pairs.items.count} items` : ''} make up; lower it`,
      );
    const total = epochs * this.stepsPerEpoch;
    this.#step = new PretrainingStep(options);
    const schedule = linearSchedule(Math.round(warmup * total), total);
    const adam = {
      type: 'adamw',
      learningRate,
      weightDecay,
      clipNorm: clipNorm || undefined,
      schedule,
    } as const;
    this.optimizer = openOptimizer(options.parameters, adam, options.device);
  }

  #plan(epoch: number): Int32Array[] {
    const { train, seed } = this.#settings;
    const random = seeded(seed, 'pretraining shuffle', epoch);
    return planBatches(this.#pairs.itemOf, train.batchSize, random, train.distinctItems);
  }

  async run(hooks: PretrainingHooks): Promise<void> {
    const { state } = this;
    const { epochs, evalSteps } = this.#settings.train;
    while (!state.stop) {
      const batches = this.#plan(state.epoch);
      this.#begin(batches.length);
      while (state.batch < batches.length) {
        await this.#train(batches[state.batch]);
        const last = state.batch === batches.length;
        if (last && state.epoch === epochs) state.stop = `all ${epochs} epochs`;
        if (evalSteps ? state.optimizerSteps % evalSteps === 0 || state.stop : last) {
          await this.#validate(hooks, batches.length);
          if (!last) this.#begin(batches.length);
        }
        if (last) Object.assign(state, { epoch: state.epoch + 1, batch: 0 });
        await hooks.onCheckpoint(state.stop !== undefined);
        if (last) break;
      }
    }
  }

  #begin(steps: number): void {
    this.#progress.begin(`epoch ${this.state.epoch}`, 'steps', steps);
  }

  async #train(batch: Int32Array): Promise<void> {
    const { state, optimizer } = this;
    const { seed } = this.#settings;
    const { reviews, items, itemOf } = this.#pairs;
    const started = performance.now();
    const pairs = [...batch];
    const step = optimizer.steps + 1;
    const losses = await this.#step.run(
      pairs.map((pair) => reviews.get(pair)),
      pairs.map((pair) => items.get(itemOf[pair])),
      { seed, step },
      seeded(seed, 'masks', step),
    );
    const loss = this.#total(losses);
    await optimizer.step();
    state.optimizerSteps = optimizer.steps;
    state.batch++;
    state.lossSum += loss;
    state.lossTargets++;
    state.seconds += (performance.now() - started) / 1000;
    this.#progress.advance(state.batch);
  }

  #total({ contrastive = 0, mlm = 0 }: Losses): number {
    const loss = contrastive + this.#settings.objective.mlmWeight * mlm;
    if (Number.isFinite(loss)) return loss;
    const { epoch, batch } = this.state;
    throw new UserError(
      `pretraining diverged: the loss is ${loss} at epoch ${epoch}, step ${batch + 1}; lower train.learningRate ` +
        `(now ${this.optimizer.learningRate}) or raise train.warmup`,
    );
  }

  async #validate(hooks: PretrainingHooks, steps: number): Promise<void> {
    const { state } = this;
    this.#progress.end();
    const started = performance.now();
    const valid = await hooks.validate();
    const score = -valid[this.#settings.objective.contrastive ? 'contrastive_loss' : 'mlm_loss'];
    const kept = score > state.best.score || this.#settings.train.keep === 'last';
    const record: EpochRecord = {
      epoch: Number((state.epoch - 1 + state.batch / steps).toFixed(4)),
      step: state.optimizerSteps,
      loss: state.lossSum / state.lossTargets,
      valid,
      trainSeconds: state.seconds,
      evalSeconds: (performance.now() - started) / 1000,
      learningRate: this.optimizer.learningRate,
    };
    state.records.push(record);
    if (kept) state.best = { epoch: record.epoch, score, badEpochs: 0 };
    else state.best.badEpochs++;
    Object.assign(state, { lossSum: 0, lossTargets: 0, seconds: 0 });
    await hooks.onRecord(record, kept);
  }

  close(): Promise<void> {
    return this.#step.close();
  }
}
