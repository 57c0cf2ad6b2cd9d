import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { UsageError } from '../common/errors.ts';
import { Progress } from '../common/progress.ts';
import { seeded } from '../common/random.ts';
import { Batches } from '../data/batches.ts';
import type { Rows } from '../data/dataset.ts';
import { planWindows } from '../data/windows.ts';
import { createEncoder } from '../encoders/pretraining/heads.ts';
import { RobertaBatches } from '../encoders/roberta-batches.ts';
import { compile, openDevice, openOptimizer, Parameters, probeDevice, tf } from '../engine/index.ts';
import { rankAll } from '../evaluation/ranking.ts';
import { openExperiment, resolveExperiment } from '../training/experiment.ts';
import { trainingStep } from '../training/step.ts';
import { type BenchRow, median, round } from './bench.ts';
import { findTorch, type Torch, TorchProcess } from './peers/torch.ts';
import { hasTransformers, measurePretraining, shapes } from './pretraining.ts';

// One part of bench/gpu.sh: argv is the part, the size and the device.

interface Size {
  dataset: { items: number; users: number; trainRows: number };
  batch: number;
  /** Steps that are timed. */
  steps: number;
  /** Sides of the square matrices that are multiplied. */
  products: number[];
  pretraining: { shape: string; pairs: number; length: number };
  texts: { count: number; length: number };
  rows: number;
}

const SIZES: Record<string, Size> = {
  full: {
    dataset: { items: 115_815, users: 300_000, trainRows: 577_567 },
    batch: 2048,
    steps: 20,
    products: [1024, 4096],
    pretraining: { shape: 'roberta-base', pairs: 64, length: 64 },
    texts: { count: 1024, length: 128 },
    rows: 16_384,
  },
  small: {
    dataset: { items: 2000, users: 400, trainRows: 1500 },
    batch: 64,
    steps: 2,
    products: [256],
    pretraining: { shape: 'blair-mini', pairs: 2, length: 16 },
    texts: { count: 4, length: 16 },
    rows: 64,
  },
};
const HISTORY = 50;
/** Texts that go through the encoder at once. */
const TEXT_BATCH = 128;

const [part, sizeName, deviceName] = process.argv.slice(2);
const size = SIZES[sizeName];
if (!size) throw new UsageError(`size ${sizeName}: must be one of [${Object.keys(SIZES)}]`);
const threads = availableParallelism();
console.log(`\n${part}, ${sizeName}, ${deviceName}`);
const device = await openDevice(deviceName, { threads });
const torch = torchOnCard();

/** PyTorch where it sees the card; without one only for the small size, on the processor, which shows that it runs. */
function torchOnCard(): (Torch & { device: string }) | undefined {
  const found = findTorch();
  if (!found || !(found.cuda || sizeName === 'small')) {
    console.log(`PyTorch ${found ? 'sees no card' : 'is not at hand'}: its columns are left out`);
    return undefined;
  }
  const device = found.cuda ? 'cuda' : 'cpu';
  console.log(`PyTorch ${found.version} on ${device}`);
  return { ...found, device };
}

/** The adapter, matrix products, and what a small operation costs. */
async function card(): Promise<BenchRow[]> {
  const { why } = await probeDevice(deviceName);
  console.log(`adapter: ${why}`);
  const rows: BenchRow[] = [];
  const peer = torch && new TorchProcess(torch, './torch_products.py', { threads, device: torch.device });
  for (const n of size.products) {
    const chain = (count: number) =>
      timed(chained(n, count, (x, w) => tf.matMul(x as tf.Tensor2D, w as tf.Tensor2D)));
    const seconds = ((await chain(9)) - (await chain(1))) / 8;
    const theirs =
      peer && Math.min(...(await peer.ask<{ ms: number[] }>({ shape: [n, n, n], repeats: 15 })).ms);
    const rate = (seconds: number) => (2 * n ** 3) / seconds / 1e9;
    rows.push({
      what: `product of ${n} x ${n}, GFLOP/s`,
      ours: round(rate(seconds), 0),
      ...(theirs && { PyTorch: round(rate(theirs / 1e3), 0) }),
    });
  }
  await peer?.close();
  const small = (count: number) => timed(chained(16, count, (x) => tf.sin(x)));
  rows.push({
    what: 'an operation on 256 numbers, µs',
    ours: round((((await small(201)) - (await small(1))) / 200) * 1e6, 1),
  });
  return rows;
}

/** A function of `count` operations, one after the other, on matrices n x n. */
function chained(n: number, count: number, op: (x: tf.Tensor, w: tf.Tensor) => tf.Tensor) {
  const run = compile(
    ({ x, w }) => {
      let value = x;
      for (let i = 0; i < count; i++) value = op(value, w);
      return { sum: tf.sum(tf.add(value, w)) };
    },
    { device },
  );
  const data = new Float32Array(n * n).fill(1 / n);
  const feeds = (['x', 'w'] as const).map((name) => [
    name,
    { dtype: 'float32' as const, shape: [n, n], data, frozen: true },
  ]);
  return () => run(Object.fromEntries(feeds));
}

/** Median seconds of a run; the first compiles. */
async function timed(run: () => Promise<unknown>, repeats = 7): Promise<number> {
  await run();
  const seconds: number[] = [];
  for (let i = 0; i < repeats; i++) {
    const started = performance.now();
    await run();
    seconds.push((performance.now() - started) / 1000);
  }
  return median(seconds);
}

/** An untrained model on data of the size of Amazon Reviews 2023 Games. */
async function experimentOf(model: string) {
  const folder = mkdtempSync(join(tmpdir(), 'rec-gpu-'));
  try {
    const file = join(folder, 'sized.yaml');
    writeFileSync(
      file,
      JSON.stringify({ summary: 'sized', generator: 'power-law', parameters: size.dataset }),
    );
    const set = [`train.batchSize=${size.batch}`, 'run.encoder=random'];
    const options = { model, dataset: file, set, runs: '', device: deviceName };
    const run = await resolveExperiment(options, new Progress());
    const experiment = await openExperiment(run, new Progress());
    if (experiment.kind !== 'trained') throw new Error(`${model} is not trained`);
    return { run, experiment };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Seconds an epoch, from some of its steps; PyTorch's with a padded history for every row, as RecBole has them. */
async function training(model: 'sasrec' | 'unisrec'): Promise<BenchRow[]> {
  const { run, experiment } = await experimentOf(model);
  const { dataset, parameters, text } = experiment;
  const { maxHistory, windows, batchSize, learningRate } = run.train;
  const batches = new Batches(dataset.pool, planWindows(dataset.train, maxHistory, windows), batchSize);
  const step = trainingStep({ ...experiment, loss: run.loss, seed: 1 });
  const optimizer = openOptimizer(parameters, { type: 'adam', learningRate }, experiment.device);
  const [warm, plan] = [1, 2].map((epoch) => batches.epoch(1, epoch));
  const take = async (batch: ReturnType<typeof plan.batch>) => {
    const { loss, rows } = await step.start(batch, { seed: 1, step: optimizer.steps + 1 });
    await optimizer.step(rows);
    return loss;
  };
  const seen = new Set<string>();
  for (let i = 0; i < warm.count && seen.size < batches.shapes.length; i++) {
    const batch = warm.batch(i);
    const shape = `${batch.length} ${batch.single}`;
    if (seen.has(shape)) continue;
    seen.add(shape);
    await (await take(batch))();
  }
  const count = Math.min(size.steps, plan.count);
  const started = performance.now();
  let last: (() => Promise<number>) | undefined;
  // Losses are read later on cards; the last one is when all steps are done.
  for (let i = 0; i < count; i++) last = await take(plan.batch(i));
  const loss = await last!();
  const ms = (performance.now() - started) / count;
  if (!Number.isFinite(loss)) throw new Error(`the loss is ${loss}`);
  const [items, rows] = [dataset.itemCount, dataset.train.target.length];
  const ours = (ms * plan.count) / 1000;
  const torchMs = torch && (await torchStep(model, items, text?.shape[1] ?? 0, run.model.settings));
  const theirs = torchMs && (torchMs * Math.ceil(rows / size.batch)) / 1000;
  return [
    {
      model,
      'items, rows': `${items}, ${rows}`,
      'ms a step': round(ms, 1),
      's/epoch': round(ours, 2),
      ...(theirs && { PyTorch: round(theirs, 2), 'times faster': round(theirs / ours, 2) }),
    },
  ];
}

/** Median milliseconds of PyTorch's step, with its fused attention and Adam. */
async function torchStep(model: string, items: number, textDims: number, settings: object): Promise<number> {
  const spec = {
    model,
    items,
    length: HISTORY,
    textDims,
    settings,
    threads,
    tuned: true,
    learningRate: 1e-3,
  };
  const peer = new TorchProcess(torch!, './torch_step.py', { ...spec, device: torch!.device });
  const { below } = seeded('histories');
  const random = (count: number) => Array.from({ length: count }, () => below(items));
  await peer.ask({
    randomTexts: textDims > 0,
    batches: [
      {
        history: Array.from({ length: size.batch }, () => random(HISTORY)),
        positions: Array.from({ length: size.batch }, (_, row) => row * HISTORY + below(HISTORY)),
        target: random(size.batch),
      },
    ],
  });
  await peer.ask({ steps: 2 });
  const { ms } = await peer.ask<{ ms: number[] }>({ steps: size.steps });
  await peer.close();
  return median(ms);
}

async function pretraining(): Promise<BenchRow[]> {
  const { shape: name, ...sizes } = size.pretraining;
  const shape = { ...shapes.find((shape) => shape.name.startsWith(name))!, ...sizes };
  return [
    await measurePretraining(
      { ...shape, name: `${name}, ${sizes.pairs} pairs x ${sizes.length} tokens` },
      torch && hasTransformers(torch) ? torch : undefined,
      device,
    ),
  ];
}

/** Texts of one length through a model of roberta-base's or blair-mini's size, in 32 and in 16 bits. */
async function encoding(): Promise<BenchRow[]> {
  const { config } = shapes.find(({ name }) => name.startsWith(size.pretraining.shape))!;
  const { count, length } = size.texts;
  const rows: BenchRow[] = [];
  for (const half of [false, true]) {
    const weights = new Parameters({ seed: 1 });
    createEncoder(weights, config);
    const batches = await RobertaBatches.load(
      weights,
      config,
      { pooling: 'cls', normalize: 'none', half },
      device,
    );
    const { below } = seeded('texts');
    const texts = Array.from({ length: Math.min(count, TEXT_BATCH) }, () =>
      Array.from({ length }, () => 4 + below(config.vocabSize - 5)),
    );
    const seconds = await timed(() => batches.encode(texts), Math.max(1, Math.floor(count / texts.length)));
    await batches.close();
    rows.push({
      model: size.pretraining.shape,
      precision: half ? 'f16' : 'f32',
      tokens: length,
      'texts/s': round(texts.length / seconds, 1),
    });
  }
  return rows;
}

/** Full ranking of test rows by untrained models. */
async function ranking(): Promise<BenchRow[]> {
  const rows: BenchRow[] = [];
  for (const model of ['sasrec', 'unisrec']) {
    const { run, experiment } = await experimentOf(model);
    const { dataset, scorer } = experiment;
    await scorer.refresh();
    const refresh = await timed(() => scorer.refresh(), 3);
    const some = firstOf(dataset.test, size.rows);
    const options = { ...run.eval, lists: false, progress: new Progress() };
    // A copy is not known from before: its histories are encoded anew.
    const seconds = await timed(() => rankAll(dataset, { ...some }, scorer, options), 3);
    rows.push({
      model,
      items: dataset.itemCount,
      'rows/s': round(some.target.length / seconds, 0),
      'item vectors ms': round(refresh * 1e3, 0),
    });
  }
  return rows;
}

const firstOf = ({ user, start, end, target }: Rows, count: number): Rows => {
  const take = (values: Int32Array) => values.subarray(0, count);
  return { user: take(user), start: take(start), end: take(end), target: take(target) };
};

const parts: Record<string, () => Promise<BenchRow[]>> = {
  card,
  sasrec: () => training('sasrec'),
  unisrec: () => training('unisrec'),
  pretraining,
  encoding,
  ranking,
};
console.table(await parts[part]());
process.exit(0);
