import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { UsageError } from '../common/errors.ts';
import { toFloat16 } from '../common/half.ts';
import type { Progress } from '../common/progress.ts';
import { MadeTexts, type Texts } from '../common/texts.ts';
import { configsFolder } from '../configs/catalogue.ts';
import type { RunOptions } from '../configs/options.ts';
import { loadPluginsOf, type Plugin } from '../configs/plugins.ts';
import { type ResolvedRun, resolveRun } from '../configs/run.ts';
import type { TrainSettings } from '../configs/train-settings.ts';
import { dropWords } from '../data/augment.ts';
import { type Dataset, loadDataset, missingFiles, resolveSource } from '../data/index.ts';
import {
  type EncoderContext,
  type EncoderDefinition,
  embedTexts,
  encoders,
  missingWeights,
  type TextVectors,
} from '../encoders/index.ts';
import { type Device, Parameters } from '../engine/index.ts';
import { blamePlugin } from '../engine/plugin-code.ts';
import { download } from '../hub/index.ts';
import {
  type BaselineDefinition,
  type CountedRecommender,
  type Definition,
  type ModelDefinition,
  models,
  type Recommender,
} from '../models/index.ts';
import { initializeFrom } from './checkpoint.ts';
import { chooseDevice } from './choose-device.ts';
import type { TextTable } from './objective.ts';
import { ModelScorer } from './scorer.ts';
import { checkedShapes } from './shapes.ts';

type RunOf<D extends Definition> = ResolvedRun<D, EncoderDefinition> & { plugins: readonly Plugin[] };
type TrainedRun = RunOf<ModelDefinition>;
type BaselineRun = RunOf<BaselineDefinition>;
type Run = TrainedRun | BaselineRun;

interface Opened {
  dataset: Dataset;
  /** Where the text vectors came from; undefined without any. */
  vectors?: Pick<TextVectors, 'name' | 'dims' | 'hash'>;
  progress: Progress;
}

/** All that the run of a trained model works with, made ready: data, text vectors, model, device. */
export interface TrainedExperiment extends Opened {
  kind: 'trained';
  run: TrainedRun;
  text: TextTable;
  /** Vectors of the texts with words dropped, for a model whose own loss asks for them. */
  droppedText: TextTable;
  parameters: Parameters;
  model: Recommender;
  device: Device;
  scorer: ModelScorer;
}

/** All that the run of a baseline works with: data, and what was counted in them. */
export interface BaselineExperiment extends Opened {
  kind: 'baseline';
  run: BaselineRun;
  counted: CountedRecommender;
}

export type Experiment = TrainedExperiment | BaselineExperiment;

/** Loads the plugins that the options name, decides every setting of the run, and checks what the schemas cannot. */
export async function resolveExperiment(options: RunOptions, progress: Progress): Promise<Run> {
  const plugins = await loadPluginsOf(options);
  const resolved = resolveRun(options, { models, encoders, folder: configsFolder });
  const run = { ...resolved, plugins } as Run;
  for (const note of run.notes) progress.warning(note);
  checkMetric(run);
  return run;
}

function checkMetric(run: Run): void {
  const { metric } = run.train;
  if (/^(recall|ndcg|mrr|hit|precision|map)@[1-9]\d*$/.test(metric)) return;
  throw new UsageError(
    `train.metric '${metric}' (from ${run.origins['train.metric']}) must be one of recall, ndcg, mrr, hit, precision or map, ` +
      `with '@' and a list length: one of [${reportedTopk({
        eval: run.eval,
        train: { ...run.train, metric: `ndcg@${run.eval.topk[0]}` },
      })
        .map((k) => `ndcg@${k}`)
        .join(', ')}]`,
  );
}

/** The k's that are reported, and that of the metric that picks the best epoch. */
export function reportedTopk({
  eval: { topk },
  train: { metric },
}: Pick<ResolvedRun, 'eval' | 'train'>): number[] {
  const picked = Number(metric.split('@')[1]);
  return [...new Set([...topk, picked])].sort((a, b) => a - b);
}

/**
 * Loads the data; then counts, or embeds the texts and builds the model. Without `start`, parameters are to be read
 * from a checkpoint.
 */
export async function openExperiment(
  run: Run,
  progress: Progress,
  { start = true } = {},
): Promise<Experiment> {
  await fetchMissing(run, progress);
  return isTrained(run) ? openTrained(run, progress, start) : openBaseline(run, progress);
}

/** Downloads what the run reads and this machine has not, all at once: what is lacking shows before hours of work. */
async function fetchMissing({ dataset, encoder }: Run, progress: Progress): Promise<void> {
  const files = await missingFiles(resolveSource(dataset));
  const weights = encoder && (await missingWeights(encoder.entry, encoder.settings));
  await download([files, weights], progress);
}

const isTrained = (run: Run): run is TrainedRun => run.model.entry.kind === 'trained';

async function openBaseline(run: BaselineRun, progress: Progress): Promise<BaselineExperiment> {
  const { entry } = run.model;
  const dataset = await openDataset(run, progress);
  return {
    kind: 'baseline',
    run,
    dataset,
    counted: ownCode(entry, 'fit()', () => entry.fit(run.model.settings, dataset)),
    progress,
  };
}

async function openDataset(run: Run, progress: Progress): Promise<Dataset> {
  const dataset = await loadDataset(resolveSource(run.dataset), run.data, { progress, seed: run.seed });
  if (dataset.synthetic) progress.note(`dataset '${dataset.name}' is synthetic: generated, not real`);
  return dataset;
}

async function openTrained(run: TrainedRun, progress: Progress, start: boolean): Promise<TrainedExperiment> {
  const { spinning } = run;
  const device = await chooseDevice(run.device, { threads: run.threads || undefined, spinning }, progress);
  const definition = run.model.entry;
  const dataset = await openDataset(run, progress);
  const context = {
    seed: run.seed,
    threads: run.threads,
    progress,
    device,
    featureFile: dataset.featureFile,
  };
  const vectors =
    definition.input === 'id' ? undefined : await embedItems(run, dataset.itemTexts, dataset, context);
  const text = vectors && tableOf(vectors, run.train);
  const parameters = new Parameters({ seed: run.seed });
  const { maxHistory, init } = run.train;
  const itemCount = dataset.itemCount;
  const textDims = text?.shape[1] ?? 0;
  const built = ownCode(definition, 'build()', () =>
    definition.build(run.model.settings, { itemCount, textDims, maxHistory, parameters }),
  );
  const model = comparedAs(checkedShapes(built), run.loss);
  if (model.loss && run.loss.type !== 'full')
    progress.warning(
      `${definition.name} trains with a loss of its own here: loss.type=${run.loss.type} (from ${run.origins['loss.type']}) has no effect`,
    );
  if (start && init) await startFrom(init, parameters, progress);
  const dropRate = model.augmentation?.dropWords ?? 0;
  const droppedText =
    dropRate && vectors ? await embedDropped(run, vectors, dropRate, dataset, context) : undefined;
  const scorer = new ModelScorer(model, dataset, text, maxHistory, { parameters, device });
  return {
    kind: 'trained',
    run,
    dataset,
    text,
    vectors: vectors && { name: vectors.name, dims: vectors.dims, hash: vectors.hash },
    droppedText,
    parameters,
    model,
    device,
    scorer,
    progress,
  };
}

/** Runs a definition's own code. @throws UserError that names the plugin, where it is one's and fails */
function ownCode<T>(definition: Definition, part: string, run: () => T): T {
  try {
    return run();
  } catch (error) {
    throw blamePlugin(definition, `${definition.name}: ${part}`, error);
  }
}

/** The model, with the comparison of vectors that the settings ask for in place of its own. */
function comparedAs(model: Recommender, { similarity, temperature }: TrainedRun['loss']): Recommender {
  return {
    ...model,
    ...(similarity !== 'model' && { similarity }),
    ...(temperature > 0 && { temperature }),
  };
}

async function embedItems(
  run: TrainedRun,
  texts: Texts | undefined,
  dataset: Dataset,
  context: EncoderContext,
): Promise<TextVectors> {
  const { entry, name, settings } = run.encoder!;
  return embedTexts({ entry, name, settings, texts, rows: dataset.itemCount }, context);
}

function tableOf({ rows, dims, values }: TextVectors, { textStorage }: TrainSettings): TextTable {
  const table = { shape: [rows, dims], frozen: true };
  return textStorage === 'f16'
    ? { ...table, dtype: 'float16', data: toFloat16(values) }
    : { ...table, dtype: 'float32', data: values };
}

/** The texts again with words dropped, where the model's own loss contrasts histories with such a view. */
async function embedDropped(
  run: TrainedRun,
  { name, rowsDependOn }: TextVectors,
  rate: number,
  dataset: Dataset,
  context: EncoderContext,
): Promise<TextTable> {
  if (rowsDependOn !== 'text' || !dataset.itemTexts) {
    throw new UsageError(
      `model.dropWords (from ${run.origins['model.dropWords']}) needs texts, and an encoder whose vectors depend on one ` +
        `text each; '${name}' on '${dataset.name}' does not give that. Set model.dropWords to 0.`,
    );
  }
  const whole = dataset.itemTexts;
  const texts = new MadeTexts(whole.length, (i) => dropWords(whole.at(i)!, rate, run.seed, i));
  return tableOf(await embedItems(run, texts, dataset, context), run.train);
}

async function startFrom(init: string, parameters: Parameters, progress: Progress): Promise<void> {
  const isFolder = await stat(init).then(
    (s) => s.isDirectory(),
    () => false,
  );
  const fresh = await initializeFrom(isFolder ? join(init, 'best.safetensors') : init, parameters);
  const rest = fresh.length ? `; new, as nothing there has their name and shape: ${fresh.join(', ')}` : '';
  progress.note(`start from ${init}${rest}`);
}

/** Frees the compiled sessions and the variables, where there are any. */
export async function closeExperiment(experiment: Experiment): Promise<void> {
  if (experiment.kind === 'baseline') return;
  await experiment.scorer.close();
  experiment.parameters.dispose();
}
