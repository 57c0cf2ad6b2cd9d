import { Progress } from '../common/progress.ts';
import { Batches } from '../data/batches.ts';
import { planWindows } from '../data/windows.ts';
import { Optimizer } from '../engine/index.ts';
import { openExperiment, resolveExperiment } from '../training/experiment.ts';
import { trainingStep } from '../training/step.ts';

/**
 * Times training steps in a process of its own, for its peak memory: argv is the number of steps to time (0: a whole
 * epoch), the model, and settings. Every shape of batch runs once before. Prints a line of JSON.
 */
const [steps, model, ...set] = process.argv.slice(2);
const progress = new Progress();
const run = await resolveExperiment({ model, dataset: 'games-size', set, runs: '' }, progress);
const experiment = await openExperiment(run, progress);
if (experiment.kind !== 'trained') throw new Error(`${model} is not trained`);
const { dataset, parameters, text } = experiment;
const { maxHistory, windows, batchSize, learningRate } = run.train;
const batches = new Batches(dataset.pool, planWindows(dataset.train, maxHistory, windows), batchSize);
const step = trainingStep({ ...experiment, loss: run.loss, seed: 1 });
const optimizer = new Optimizer(parameters, { type: 'adam', learningRate });

async function train(plan: ReturnType<Batches['epoch']>, i: number): Promise<number> {
  const started = performance.now();
  const { rows, loss } = await step.run(plan.batch(i), { seed: 1, step: optimizer.steps + 1 });
  optimizer.step(rows);
  if (!Number.isFinite(loss)) throw new Error(`the loss is ${loss}`);
  return performance.now() - started;
}

const warm = batches.epoch(1, 1);
const seen = new Set<string>();
for (let i = 0; i < warm.count && seen.size < batches.shapes.length; i++) {
  const { length, single } = warm.batch(i);
  const shape = `${length} ${single}`;
  if (seen.has(shape)) continue;
  seen.add(shape);
  await train(warm, i);
}
const plan = batches.epoch(1, 2);
const count = Number(steps) || plan.count;
let total = 0;
for (let i = 0; i < count; i++) total += await train(plan, i);
const result = {
  items: dataset.itemCount,
  rows: dataset.train.target.length,
  textDims: text?.shape[1] ?? 0,
  steps: count,
  secondsPerEpoch: ((total / count) * plan.count) / 1000,
  rssGb: process.resourceUsage().maxRSS / 2 ** 20,
};
console.log(JSON.stringify(result));
process.exit(0);
