import { existsSync } from 'node:fs';
import { basename } from 'node:path';
import { Cancelled, UserError } from '../common/errors.ts';
import { ensureWritableFolder, hashJson, readJson } from '../common/files.ts';
import type { Progress } from '../common/progress.ts';
import type { RunOptions } from '../configs/options.ts';
import { leavesOf } from '../configs/values.ts';
import { rankAll } from '../evaluation/ranking.ts';
import { loadCheckpoint, loadParameters, saveCheckpoint, saveParameters } from './checkpoint.ts';
import { environmentOf } from './environment.ts';
import {
  closeExperiment,
  type Experiment,
  openExperiment,
  reportedTopk,
  resolveExperiment,
  type TrainedExperiment,
} from './experiment.ts';
import { type Description, MlflowRun } from './mlflow.ts';
import { courseOf, deviceOf, type RunResult, runResult, withoutEpochs } from './result.ts';
import { readResult } from './result-file.ts';
import { RunFolder } from './run-folder.ts';
import { Trainer } from './trainer.ts';

export type { RunResult } from './result.ts';

/** What a run that was told to pause prints with --json: it has no result yet. */
export interface PausedRun {
  paused: { epochs: number; bestEpoch: number };
  /** The run folder. */
  run: string;
}

/** Options that do not ask for a pause. */
type ToTheEnd = RunOptions & { pauseAfter?: undefined };

const COUNTED = 'counted, not trained';

/** Trains (or counts) and evaluates a model as the options say; leaves a run folder. */
export async function runExperiment(options: ToTheEnd, progress: Progress): Promise<RunResult>;
export async function runExperiment(options: RunOptions, progress: Progress): Promise<RunResult | PausedRun>;
export async function runExperiment(options: RunOptions, progress: Progress): Promise<RunResult | PausedRun> {
  const started = performance.now();
  const run = await resolveExperiment(options, progress);
  const given = RunFolder.given(options.folder);
  await ensureWritableFolder(given?.path ?? options.runs);
  return usingExperiment(await openExperiment(run, progress), async (experiment) => {
    if (options.inputsAsIn !== undefined)
      await refuseChanges(RunFolder.open(options.inputsAsIn), experiment, 'so it cannot be repeated');
    const words = [experiment.dataset.name, run.model.entry.name, ...(run.encoder ? [run.encoder.name] : [])];
    const folder = given ?? (await RunFolder.make(options.runs, words, hashJson(run.config)));
    const environment = environmentOf({ ...run, device: deviceOf(experiment) });
    await folder.begin(run.yaml, inputsOf(experiment), environment, run.plugins);
    progress.run(folder.shown);
    return carryOut(experiment, folder, { ...options, started, resumed: false });
  });
}

/**
 * Takes up an interrupted or paused run at its last checkpoint; the outcome is that of a run without interruption, on
 * any number of threads.
 */
export async function resumeExperiment(options: ToTheEnd, progress: Progress): Promise<RunResult>;
export async function resumeExperiment(
  options: RunOptions,
  progress: Progress,
): Promise<RunResult | PausedRun>;
export async function resumeExperiment(
  options: RunOptions,
  progress: Progress,
): Promise<RunResult | PausedRun> {
  const started = performance.now();
  const folder = RunFolder.open(options.resume ?? '');
  progress.run(folder.shown);
  if (existsSync(folder.file('result.json'))) {
    progress.note(`${folder.shown} is finished: this is its result`);
    return readResult(folder.path);
  }
  const run = await resolveExperiment(
    { set: [], threads: options.threads, ...folder.recipe(), runs: options.runs },
    progress,
  );
  await folder.claim();
  const opened = await openExperiment(run, progress, { start: !existsSync(folder.last) });
  return usingExperiment(opened, async (experiment) => {
    await refuseChanges(folder, experiment, 'so it cannot go on; begin a new run');
    return carryOut(experiment, folder, { ...options, started, resumed: true });
  });
}

/** Evaluates a run's best checkpoint anew, or a baseline counted anew; `set` may change evaluation settings, e.g. eval.topk. */
export async function evaluateExperiment(
  options: { folder: string; set: string[]; device?: string; threads?: string },
  progress: Progress,
): Promise<RunResult> {
  const started = performance.now();
  const folder = RunFolder.open(options.folder);
  const { set, device, threads } = options;
  const run = await resolveExperiment({ set, device, threads, ...folder.recipe(), runs: '' }, progress);
  const trained = run.model.entry.kind === 'trained';
  if (trained && !existsSync(folder.best))
    throw new UserError(`${folder.shown}: no best.safetensors in it; the run has not finished an epoch`);
  return usingExperiment(await openExperiment(run, progress, { start: false }), async (experiment) => {
    const changed = await changedInput(folder, experiment);
    if (changed) progress.warning(`${changed} is not as it was when the model was trained`);
    if (experiment.kind === 'trained') await loadParameters(folder.best, experiment.parameters);
    const before = existsSync(folder.file('result.json')) ? await readResult(folder.path) : undefined;
    const course = before
      ? { epochs: before.epochs, trainSecondsPerEpoch: before.timing.trainSecondsPerEpoch }
      : withoutEpochs(trained ? 'not trained to the end' : COUNTED);
    return (await runResult(experiment, course, started, folder.shown)).result;
  });
}

/** Works with an experiment, and closes it however that ends. */
async function usingExperiment<T>(
  experiment: Experiment,
  work: (experiment: Experiment) => Promise<T>,
): Promise<T> {
  try {
    return await work(experiment);
  } finally {
    await closeExperiment(experiment);
  }
}

/** What a run was made from, written into its folder as dataset.json. */
function inputsOf({ dataset, vectors }: Experiment) {
  return { ...dataset.manifest, vectors };
}

async function refuseChanges(folder: RunFolder, experiment: Experiment, consequence: string): Promise<void> {
  const changed = await changedInput(folder, experiment);
  if (changed)
    throw new UserError(`${folder.shown}: ${changed} has changed since this run began, ${consequence}`);
}

/** What is no longer as it was when the run was made: its dataset or its text vectors; undefined where nothing is. */
async function changedInput(folder: RunFolder, experiment: Experiment): Promise<string | undefined> {
  const before = await readJson<ReturnType<typeof inputsOf>>(folder.file('dataset.json'));
  const { dataset, vectors } = experiment;
  if (before.hash !== dataset.manifest.hash) return `dataset '${dataset.name}'`;
  return before.vectors?.hash === vectors?.hash ? undefined : `what encoder '${vectors?.name}' gives`;
}

/** One process's share in a run. */
interface Session {
  /** When it began, by performance.now(). */
  started: number;
  /** It goes on with a run that is there. */
  resumed: boolean;
  pauseAfter?: number;
}

/** Leaves the result in the folder, of a model trained first, or of a baseline that was counted as it was opened. */
async function carryOut(
  experiment: Experiment,
  folder: RunFolder,
  session: Session,
): Promise<RunResult | PausedRun> {
  const { tracking } = experiment.run;
  const mlflow = tracking.mlflow ? new MlflowRun(tracking, folder.path, experiment.progress) : undefined;
  mlflow?.begin(descriptionOf(experiment, folder));
  folder.mlflow = mlflow;
  try {
    const outcome = await (experiment.kind === 'trained'
      ? train(experiment, folder, session)
      : count(experiment, folder, session));
    if ('paused' in outcome) await mlflow?.end('paused');
    else await mlflow?.end('FINISHED', outcome.test, outcome.epochs.best);
    return outcome;
  } catch (error) {
    await mlflow?.end(error instanceof Cancelled ? 'KILLED' : 'FAILED');
    throw error;
  }
}

/** What MLflow shows of a run. */
function descriptionOf({ run, dataset }: Experiment, folder: RunFolder): Description {
  const { tracking: _where, ...settings } = run.config;
  return {
    name: basename(folder.path),
    params: Object.fromEntries(leavesOf(settings)),
    tags: { folder: folder.path, dataset: dataset.name, 'dataset hash': dataset.manifest.hash },
  };
}

async function count(experiment: Experiment, folder: RunFolder, { started }: Session): Promise<RunResult> {
  const { result, ranks } = await runResult(experiment, withoutEpochs(COUNTED), started, folder.shown);
  await folder.finish(result, ranks);
  return result;
}

async function train(
  experiment: TrainedExperiment,
  folder: RunFolder,
  { started, resumed, pauseAfter }: Session,
): Promise<RunResult | PausedRun> {
  const { run, dataset, parameters, scorer, progress } = experiment;
  const settings = run.train;
  const trainer = new Trainer({ ...experiment, settings, loss: run.loss, seed: run.seed });
  const save = async () => {
    await trainer.settle();
    await folder.requireOwned();
    await saveCheckpoint(folder.last, parameters, trainer.state);
  };
  try {
    if (resumed) {
      // A run that was killed before its first checkpoint begins anew.
      if (existsSync(folder.last)) {
        Object.assign(trainer.state, await loadCheckpoint(folder.last, parameters, trainer.optimizer));
      }
      await folder.rewind(trainer.state);
      progress.note(`resumed at epoch ${trainer.state.epoch}, step ${trainer.state.batch + 1}`);
    }
    let saved = performance.now();
    await trainer.run(
      {
        async validate() {
          await scorer.refresh();
          const options = { ...run.eval, topk: reportedTopk(run), lists: false, progress };
          return (await rankAll(dataset, dataset.valid, scorer, options)).metrics;
        },
        async onEpoch(record, improved) {
          await folder.requireOwned();
          if (improved)
            await saveParameters(folder.best, parameters, {
              model: run.model.entry.name,
              epoch: String(record.epoch),
            });
          await folder.addEpoch(record);
          const { epoch, loss, valid, trainSeconds } = record;
          const k = settings.metric.split('@')[1];
          const shown = Object.fromEntries(
            [`recall@${k}`, `ndcg@${k}`, settings.metric].map((m) => [m, valid[m]]),
          );
          progress.epoch({ epoch, loss, ...shown, seconds: trainSeconds, best: improved });
        },
        async onCheckpoint(_, force) {
          const now = performance.now();
          if (!force && now - saved < settings.checkpointSeconds * 1000) return;
          await save();
          saved = performance.now();
        },
      },
      pauseAfter,
    );
    const { records, best, stop } = trainer.state;
    if (!stop) return { paused: { epochs: records.length, bestEpoch: best.epoch }, run: folder.shown };
    await loadParameters(folder.best, parameters);
    const { result, ranks } = await runResult(experiment, courseOf(trainer.state), started, folder.shown);
    await folder.drawCurve(trainer.state, settings.metric);
    await folder.finish(result, ranks);
    return result;
  } catch (error) {
    // What was trained so far is kept: the state is whole after every step.
    if (error instanceof Cancelled && trainer.state.optimizerSteps > 0 && !trainer.state.stop) await save();
    throw error;
  } finally {
    await trainer.close();
  }
}
