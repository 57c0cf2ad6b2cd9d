import { existsSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { Cancelled, UserError } from '../../common/errors.ts';
import { ensureWritableFolder, hashFile, hashJson, readJson } from '../../common/files.ts';
import { peakRssMb } from '../../common/process.ts';
import type { Progress } from '../../common/progress.ts';
import { effectiveThreads } from '../../configs/options.ts';
import { encoders, missingWeights } from '../../encoders/index.ts';
import { type Heads, headShapes } from '../../encoders/pretraining/heads.ts';
import { rowsWithin } from '../../encoders/pretraining/parts.ts';
import {
  beginEncoderFolder,
  locateStart,
  type Start,
  saveEncoder,
  startFromCheckpoint,
  startFromScratch,
} from '../../encoders/pretraining/source.ts';
import type { StepOptions } from '../../encoders/pretraining/step.ts';
import { ENCODER_FOLDER, readRobertaConfig, readRobertaWeights } from '../../encoders/roberta-files.ts';
import { longestText, type RobertaConfig } from '../../encoders/roberta-model.ts';
import { loadTokenizer, makeTokenizer } from '../../encoders/tokenizer.ts';
import type { Device } from '../../engine/index.ts';
import type { Metrics } from '../../evaluation/metrics.ts';
import { download } from '../../hub/index.ts';
import { loadCheckpoint, saveCheckpoint } from '../checkpoint.ts';
import { chooseDevice } from '../choose-device.ts';
import { environmentOf } from '../environment.ts';
import { readOutcome } from '../result-file.ts';
import { RunFolder } from '../run-folder.ts';
import { type Corpus, type CorpusReport, learnTokenizer, readCorpus } from './corpus.ts';
import { Evaluator } from './evaluator.ts';
import { type PretrainingOptions, resolvePretraining } from './options.ts';
import type { PretrainingSettings } from './settings.ts';
import { PretrainingTrainer } from './trainer.ts';

/** What `rec pretrain` prints with --json and leaves as result.json. */
export interface PretrainingResult {
  /** Folder of the encoder, for `--encoder roberta:FOLDER`. */
  encoder: string;
  init: string;
  objective: PretrainingSettings['objective'];
  model: { layers: number; hiddenSize: number; vocabSize: number; parameters: number };
  pairs: CorpusReport;
  seed: number;
  epochs: { run: number; best: number; stop: string };
  /** Of the checkpoint that was kept. Losses in nats; retrieval of a review's own item among the validation items, as fractions. */
  valid: Metrics;
  /** The same on test pairs, among all items of the file; undefined where it has none. */
  test?: Metrics;
  timing: { pairsPerSecond: number; totalSeconds: number };
  peakRssMb: number;
  run: string;
}

/** Pretrains an encoder; leaves a run folder whose `encoder/` is a checkpoint in Hugging Face's layout. */
export async function runPretraining(
  options: PretrainingOptions,
  progress: Progress,
): Promise<PretrainingResult> {
  const started = performance.now();
  const { settings, yaml } = resolvePretraining(options);
  const given = RunFolder.given(options.folder);
  await ensureWritableFolder(given?.path ?? options.runs);
  const device = await chooseDevice(settings.device, computingOf(settings), progress);
  const hash = await hashFile(settings.pairs);
  if (settings.init !== 'scratch')
    await download(
      [await missingWeights(encoders.get('roberta'), { model: settings.init, revision: 'main' })],
      progress,
    );
  const { start, source } = await startOf(settings, progress);
  const read = await readCorpus(settings.pairs, start.tokenizer, maxTokens(settings, start.config), progress);
  const words = [
    'pretrain',
    basename(settings.pairs).replace(/\..*/, ''),
    options.recipe ?? basename(settings.init),
  ];
  const folder = given ?? (await RunFolder.make(options.runs, words, hashJson(settings)));
  await folder.begin(
    yaml,
    { pairs: { file: settings.pairs, sha256: hash, ...read.report } },
    environmentOf({ ...computingOf(settings), device: device.name }),
  );
  await beginEncoderFolder(folder.file(ENCODER_FOLDER), start.config, source);
  progress.run(folder.shown);
  return pretrain(settings, start, read, folder, { started, resumed: false, device, progress });
}

/** Takes up an interrupted pretraining at its last checkpoint; the outcome is that of a run without interruption. */
export async function resumePretraining(
  options: PretrainingOptions,
  progress: Progress,
): Promise<PretrainingResult> {
  const started = performance.now();
  const folder = new RunFolder(resolve(options.resume ?? ''));
  if (!existsSync(folder.file('config.yaml')) || !existsSync(folder.file(ENCODER_FOLDER)))
    throw new UserError(`${options.resume}: not the run folder of a pretraining`);
  progress.run(folder.shown);
  if (existsSync(folder.file('result.json'))) {
    progress.note(`${folder.shown} is finished: this is its result`);
    return (await readOutcome(folder.path)) as unknown as PretrainingResult;
  }
  await folder.claim();
  const { settings } = resolvePretraining({
    set: [],
    threads: options.threads,
    config: folder.file('config.yaml'),
    runs: options.runs,
  });
  const before = await readJson<{ pairs: { sha256: string } }>(folder.file('dataset.json'));
  if ((await hashFile(settings.pairs)) !== before.pairs.sha256)
    throw new UserError(
      `${settings.pairs} has changed since this run began, so it cannot go on; begin a new run`,
    );
  const device = await chooseDevice(settings.device, computingOf(settings), progress);
  const encoder = folder.file(ENCODER_FOLDER);
  const tokenizer = await loadTokenizer(encoder);
  const start =
    settings.init === 'scratch'
      ? startFromScratch(await readRobertaConfig(encoder), tokenizer, headsOf(settings), settings.seed)
      : await startFromCheckpoint(await locateStart(settings.init), headsOf(settings), settings.seed);
  const read = await readCorpus(settings.pairs, tokenizer, maxTokens(settings, start.config), progress);
  return pretrain(settings, { ...start, tokenizer }, read, folder, {
    started,
    resumed: true,
    device,
    progress,
  });
}

const computingOf = ({ threads, spinning }: PretrainingSettings) => ({
  threads: effectiveThreads(threads),
  spinning,
});

const headsOf = ({ objective }: PretrainingSettings): Heads => ({
  pooling: objective.pooling,
  pooler: objective.contrastive ? objective.pooler : 'none',
  lm: objective.mlmWeight > 0,
});

/** The model that training begins with, and where its tokenizer comes from. */
async function startOf(settings: PretrainingSettings, progress: Progress) {
  const { init, model, seed } = settings;
  if (init !== 'scratch') {
    const start = await startFromCheckpoint(await locateStart(init), headsOf(settings), seed);
    return { start, source: { files: start.tokenizer.files } };
  }
  const definition = await learnTokenizer(settings.pairs, model.vocabSize, progress);
  const tokenizer = makeTokenizer(definition, []);
  const config: RobertaConfig = {
    ...model,
    vocabSize: tokenizer.size,
    tokenTypes: 1,
    padId: tokenizer.padId,
    epsilon: 1e-5,
    hiddenDropout: model.dropout,
    attentionDropout: model.dropout,
  };
  return { start: startFromScratch(config, tokenizer, headsOf(settings), seed), source: { definition } };
}

/** @throws UserError where the model has no positions for so many tokens */
function maxTokens({ train, init }: PretrainingSettings, config: RobertaConfig): number {
  const most = longestText(config);
  if (train.maxTokens <= most) return train.maxTokens;
  throw new UserError(
    `train.maxTokens ${train.maxTokens} is more than the ${most} positions of the model` +
      `${init === 'scratch' ? ' (model.maxPositions less 2)' : ` ${init}`}`,
  );
}

interface Session {
  started: number;
  resumed: boolean;
  device: Device;
  progress: Progress;
}

async function pretrain(
  settings: PretrainingSettings,
  { config, tokenizer, parameters }: Start,
  { corpus, report }: { corpus: Corpus; report: CorpusReport },
  folder: RunFolder,
  { started, resumed, device, progress }: Session,
): Promise<PretrainingResult> {
  const { train, objective } = settings;
  const encoder = folder.file(ENCODER_FOLDER);
  const bytes = train.memoryMb * 2 ** 20;
  const options: StepOptions = {
    parameters,
    config,
    heads: headsOf(settings),
    objective,
    vocabulary: { size: tokenizer.size, maskId: tokenizer.maskId, special: tokenizer.special },
    rows: rowsWithin(bytes, 2 * train.batchSize, train.maxTokens, config, device.eager),
    device,
  };
  const evaluator = new Evaluator(options, train.batchSize);
  const trainer = new PretrainingTrainer(settings, corpus.train, options, progress);
  const check = () => progress.check();
  const save = async () => {
    await folder.requireOwned();
    await saveCheckpoint(folder.last, parameters, trainer.state);
  };
  const { state } = trainer;
  try {
    if (resumed) {
      if (existsSync(folder.last))
        Object.assign(state, await loadCheckpoint(folder.last, parameters, trainer.optimizer));
      await folder.rewind(state);
      progress.note(`resumed at epoch ${state.epoch}, step ${state.batch + 1}`);
    }
    const rows = Math.min(options.rows, 2 * train.batchSize);
    progress.note(
      `${trainer.stepsPerEpoch} steps an epoch; ${Math.ceil((2 * train.batchSize) / rows)} parts a step within ${train.memoryMb} MB`,
    );
    let saved = performance.now();
    await trainer.run({
      validate: () => evaluator.evaluate(corpus.valid, 'own', check),
      async onRecord(record, kept) {
        await folder.requireOwned();
        if (kept) await saveEncoder(encoder, parameters, settings.dtype);
        await folder.addEpoch(record);
        const { epoch, loss, valid, trainSeconds } = record;
        progress.epoch({ epoch, loss, ...valid, seconds: trainSeconds, best: kept });
      },
      async onCheckpoint(force) {
        const now = performance.now();
        if (!force && now - saved < train.checkpointSeconds * 1000) return;
        await save();
        saved = performance.now();
      },
    });
    await folder.drawCurve(state, objective.contrastive ? 'contrastive_loss' : 'mlm_loss');
    const test = corpus.test.itemOf.length
      ? await evaluateTest(encoder, options, corpus, train.batchSize, check)
      : undefined;
    const trained = state.optimizerSteps * train.batchSize;
    const seconds = state.records.reduce((sum, record) => sum + record.trainSeconds, 0);
    const result: PretrainingResult = {
      encoder: join(folder.shown, ENCODER_FOLDER),
      init: settings.init,
      objective,
      model: {
        layers: config.layers,
        hiddenSize: config.hiddenSize,
        vocabSize: config.vocabSize,
        parameters: parameters.size,
      },
      pairs: report,
      seed: settings.seed,
      epochs: { run: settings.train.epochs, best: state.best.epoch, stop: state.stop ?? '' },
      valid: state.records.find(({ epoch }) => epoch === state.best.epoch)?.valid ?? {},
      test,
      timing: {
        pairsPerSecond: Number((trained / seconds).toPrecision(4)),
        totalSeconds: Number(((performance.now() - started) / 1000).toPrecision(4)),
      },
      peakRssMb: peakRssMb(),
      run: folder.shown,
    };
    await folder.finish(result);
    return result;
  } catch (error) {
    if (error instanceof Cancelled && state.optimizerSteps > 0 && !state.stop) await save();
    throw error;
  } finally {
    await trainer.close();
    await evaluator.close();
    parameters.dispose();
  }
}

/** The best checkpoint, read back as a user would, on test pairs among the items of all splits. */
async function evaluateTest(
  encoder: string,
  options: StepOptions,
  { test }: Corpus,
  batchSize: number,
  check: () => void,
): Promise<Metrics> {
  const { config, heads } = options;
  const optional = headShapes(config, heads);
  const parameters = await readRobertaWeights(join(encoder, 'model.safetensors'), config, { optional });
  const evaluator = new Evaluator({ ...options, parameters }, batchSize);
  try {
    return await evaluator.evaluate(test, 'all', check);
  } finally {
    await evaluator.close();
    parameters.dispose();
  }
}
