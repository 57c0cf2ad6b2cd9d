import { join } from 'node:path';
import { Cancelled, messageOf, UserError } from '../common/errors.ts';
import { writeFileAtomic } from '../common/files.ts';
import { type Candidate, fieldsOf, ranked, rungsOf, survivors } from './halving.ts';
import { alone } from './lock.ts';
import type { Plan, Trial } from './plan.ts';
import { hasReached, type RunState, readRunState } from './run-state.ts';

/** Where trials are carried out: on this machine, or by workers that share a queue. */
export interface Executor {
  /** How many trials run at once. */
  readonly width: number;
  /**
   * Brings a trial's run to `until` epochs, or to its end, and its folder to this machine.
   * @param report told now and then where the run stands, first when it has begun
   * @throws Cancelled where the sweep is stopped; any other error is the trial's
   */
  advance(trial: Trial, until: number | undefined, report: (state: RunState) => void): Promise<void>;
  /** Waits until trials can be carried out. */
  ready(): Promise<void>;
  close(): void;
}

/** `stopped` trials were dropped by halving: they are whole up to there, and can be resumed by hand. */
export type Status = 'waiting' | 'running' | 'done' | 'stopped' | 'failed';

/** What is known of a trial. */
export interface TrialRow {
  trial: Trial;
  status: Status;
  state: RunState;
  /** Epochs that it is on the way to; undefined: its end. */
  until?: number;
  /** Why it ended. */
  stop?: string;
  /** Why it failed, the last time. */
  error?: string;
}

/** Lists a sweep's trials with their run folders. */
export const SWEEP_FILE = 'sweep.json';

/** A failed trial is tried once more. */
const ATTEMPTS = 2;

/**
 * Carries out a plan. What was done before, by an earlier execution or the present one, is read off the run folders,
 * and every decision follows from them alone: a sweep that is run again goes on where it stopped.
 */
export class Sweep {
  readonly plan: Plan;
  readonly folder: string;
  readonly rows: TrialRow[];
  readonly #executor: Executor;
  #onChange: (row: TrialRow) => void = () => {};
  readonly #prepared = new Map<string, Promise<void>>();
  readonly #pretrained = new Map<TrialRow, Promise<void>>();
  #saving?: Promise<void>;
  #unsaved = false;

  /** @param folder where run folders and sweep.json go */
  constructor(plan: Plan, folder: string, executor: Executor) {
    this.plan = plan;
    this.folder = folder;
    this.#executor = executor;
    this.rows = plan.trials.map((trial) => ({
      trial,
      status: 'waiting',
      state: { begun: false, epochs: 0, seconds: 0 },
    }));
  }

  /** How many trials run at once. */
  get width(): number {
    return this.#executor.width;
  }

  /**
   * @param onChange told of every row that has changed
   * @throws Cancelled where it was stopped, once nothing is left running
   */
  async run(onChange: (row: TrialRow) => void): Promise<void> {
    this.#onChange = onChange;
    try {
      await alone(this.folder, async () => {
        for (const row of this.rows) await this.#refresh(row);
        try {
          await this.#executor.ready();
          const encoders = this.rows.filter(({ trial }) => trial.command[0] === 'pretrain');
          const fields = fieldsOf(this.plan.trials).map((field) => this.#runField(field));
          await settle([...encoders.map((row) => this.#pretrain(row)), ...fields]);
        } finally {
          // What was being written must not come after what the next execution writes.
          await this.#save();
        }
      });
    } finally {
      this.#executor.close();
    }
  }

  /** All trials with their run folders, whose names are relative to the sweep's folder: what sweep.json says. */
  listing() {
    const { name, file } = this.plan;
    return { sweep: name, file, folder: this.folder, trials: this.rows.map(listed) };
  }

  async #runField(field: readonly Candidate[]): Promise<void> {
    const { halving } = this.plan;
    let left = field;
    for (const rung of rungsOf(field, halving)) {
      await this.#advanceAll(left, rung);
      const scores = new Map<Trial, number | undefined>();
      // A failed trial has no score, whatever it had reached: it would take the place of one that can go on.
      for (const { trial, status } of this.#rowsOf(left))
        if (status !== 'failed')
          scores.set(trial, (await readRunState(join(this.folder, trial.run), trial.metric, rung)).best);
      const order = ranked(left, (trial) => scores.get(trial));
      left = order.slice(0, survivors(order.length, halving.factor));
      for (const [place, candidate] of order.entries())
        if (place >= left.length)
          this.#drop(candidate, `place ${place + 1} of ${order.length} after epoch ${rung}`);
    }
    await this.#advanceAll(left, undefined);
  }

  #rowsOf(field: readonly Candidate[]): TrialRow[] {
    const trials = new Set(field.flatMap((candidate) => candidate.trials));
    return this.rows.filter(({ trial }) => trials.has(trial));
  }

  #drop(candidate: Candidate, stop: string): void {
    for (const row of this.#rowsOf([candidate]))
      if (row.status === 'waiting') this.#set(row, { status: 'stopped', stop });
  }

  async #advanceAll(field: readonly Candidate[], until: number | undefined): Promise<void> {
    await settle(this.#rowsOf(field).map((row) => this.#advance(row, until)));
  }

  async #advance(row: TrialRow, until: number | undefined): Promise<void> {
    if (row.status === 'failed') return;
    row.until = until;
    if (hasReached(row.state, until)) return;
    if (!(await this.#isPrepared(row))) return;
    const ready = await this.#inputs(row.trial.inputs);
    try {
      await this.#attempt(row, until, ready);
    } finally {
      ready();
    }
  }

  /** Waits for the encoders that a trial needs. False where one could not be made: the trial has failed with it. */
  async #isPrepared(row: TrialRow): Promise<boolean> {
    const needed = this.rows.filter(({ trial }) => row.trial.after.includes(trial.id));
    for (const before of needed) {
      await this.#pretrain(before);
      if (before.status !== 'failed') continue;
      const name = before.trial.settings.pretrain;
      this.#set(row, { status: 'failed', error: `pretraining ${name} failed: ${before.error}` });
      return false;
    }
    return true;
  }

  #pretrain(row: TrialRow): Promise<void> {
    const work = this.#pretrained.get(row) ?? this.#advance(row, undefined);
    this.#pretrained.set(row, work);
    return work;
  }

  async #attempt(row: TrialRow, until: number | undefined, ready: () => void): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      try {
        await this.#executor.advance(row.trial, until, (state) => {
          if (state.begun) ready();
          this.#set(row, { state, status: 'running' });
        });
        await this.#refresh(row, { error: undefined });
        return;
      } catch (error) {
        if (error instanceof Cancelled) {
          await this.#refresh(row);
          throw error;
        }
        const failed = attempt === ATTEMPTS;
        await this.#refresh(row, { error: messageOf(error), status: failed ? 'failed' : 'waiting' });
        if (failed) return;
      }
    }
  }

  /**
   * Datasets are prepared and texts embedded once: the first trial that needs them goes ahead, the others wait until it
   * has them in the cache.
   * @returns what the first one calls when it has
   */
  async #inputs(key: string): Promise<() => void> {
    let ready = () => {};
    const first = this.#prepared.get(key);
    if (first) await first;
    else this.#prepared.set(key, new Promise((resolve) => (ready = resolve)));
    return ready;
  }

  /**
   * Reads off the run folder where the trial stands; `change` is what is known besides. Where a file is damaged, the
   * trial has failed.
   */
  async #refresh(row: TrialRow, change: Partial<TrialRow> = {}): Promise<void> {
    const { trial } = row;
    try {
      const state = await readRunState(join(this.folder, trial.run), trial.metric);
      const done = state.result !== undefined;
      const stop = state.result?.epochs.stop;
      this.#set(row, { state, status: done ? 'done' : 'waiting', stop, ...change });
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      this.#set(row, { status: 'failed', error: error.message });
    }
  }

  #set(row: TrialRow, change: Partial<TrialRow>): void {
    const before = row.status;
    Object.assign(row, change);
    this.#onChange(row);
    if (row.status !== before) void this.#save();
  }

  /** Writes sweep.json; what changes while it is being written is written next. */
  #save(): Promise<void> {
    this.#unsaved = true;
    this.#saving ??= this.#saveAll().finally(() => {
      this.#saving = undefined;
    });
    return this.#saving;
  }

  async #saveAll(): Promise<void> {
    while (this.#unsaved) {
      this.#unsaved = false;
      await writeFileAtomic(join(this.folder, SWEEP_FILE), `${JSON.stringify(this.listing(), null, 2)}\n`);
    }
  }
}

function listed({ trial: { id, run, settings, metric }, status, state, stop, error }: TrialRow) {
  const { epochs, best } = state;
  return { id, run, settings, status, metric, best, epochs, stop, error };
}

/** Waits for all, then throws what the first failure threw. */
async function settle(work: readonly Promise<void>[]): Promise<void> {
  const failed = (await Promise.allSettled(work)).find((outcome) => outcome.status === 'rejected');
  if (failed) throw failed.reason;
}
