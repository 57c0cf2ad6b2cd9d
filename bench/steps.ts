import { availableParallelism } from 'node:os';
import { cpuDevice } from '../engine/index.ts';
import { type Bench, type BenchRow, median, round, watched } from './bench.ts';
import { productLimits } from './limits.ts';
import { findTorch, TORCH_MISSING, type Torch } from './peers/torch.ts';
import { gflop, SHAPES, type StepShape, syntheticBatch } from './step-shapes.ts';
import { BATCHES, type Block, OwnSide, type Side, TorchSide } from './step-sides.ts';

const TURNS = 3;
/** Steps of a turn; the first warms up caches that the other side has used, and does not count. */
const STEPS = 8;

interface Setting {
  threads: number;
  torch: Torch | undefined;
  /** Whether PyTorch takes its fused attention and fused Adam. */
  tuned: boolean;
}

export const steps: Bench = {
  name: 'steps',
  describe: `training steps beside PyTorch, in turns (options: steps of [${SHAPES.map((s) => s.name).join()}] or all; tuned)`,
  async run([chosen = 'all', peer = 'plain']) {
    const shapes = chosen === 'all' ? SHAPES : chosen.split(',').map(shapeNamed);
    if (peer !== 'plain' && peer !== 'tuned')
      throw new Error(`unknown peer '${peer}'. Must be one of [plain, tuned].`);
    const torch = findTorch();
    if (!torch) console.error(`\n*** ${TORCH_MISSING} ***\n`);
    const setting: Setting = { threads: availableParallelism(), torch, tuned: peer === 'tuned' };
    const limits = await productLimits(setting.threads, torch);
    if (torch) {
      for (const model of new Set(shapes.map((s) => s.model)))
        await checkSameStep(shapes.find((s) => s.model === model)!, setting, torch);
    }
    const rows: BenchRow[] = [];
    for (const shape of shapes) {
      rows.push(await measure(shape, setting, limits.best));
      console.error(rows.at(-1));
    }
    const notes = [
      torch
        ? `PyTorch ${torch.version}, ${peer}: ${peer === 'tuned' ? 'fused attention and fused Adam' : "RecBole's form"}`
        : TORCH_MISSING,
      `limit: the GFLOP of the step's matrix products at ${round(limits.best, 0)} GFLOP/s`,
      'others %: largest share of the cores that other processes took during a turn; above a few, the row is disturbed',
    ];
    const title = `forward, backward and Adam; median ms of ${TURNS} turns, ${setting.threads} threads`;
    return [{ title, rows, notes }, limits.table];
  },
};

function shapeNamed(name: string): StepShape {
  const found = SHAPES.find((s) => s.name === name);
  if (!found)
    throw new Error(`unknown step '${name}'. Must be one of [${SHAPES.map((s) => s.name).join(', ')}].`);
  return found;
}

async function measure(shape: StepShape, setting: Setting, best: number): Promise<BenchRow> {
  const batches = Array.from({ length: BATCHES }, (_, i) => syntheticBatch(shape, i));
  const ours = new OwnSide(shape, batches, cpuDevice({ threads: setting.threads }));
  const peer = setting.torch && (await TorchSide.start(shape, batches, setting, setting.torch));
  const times = { ours: [] as number[], peer: [] as number[], others: [] as number[] };
  // Compiles, and lets allocators settle.
  checkFirst(shape, await ours.steps(3), await peer?.steps(3));
  for (let turn = 0; turn < TURNS; turn++) {
    await takeTurn(ours, times.ours, times.others);
    if (peer) await takeTurn(peer, times.peer, times.others);
  }
  await ours.close();
  await peer?.close();
  const ms = median(times.ours);
  const operations = gflop(shape);
  const limit = (operations / best) * 1e3;
  const peerMs = peer && median(times.peer);
  return {
    step: shape.describe,
    'ours ms': round(ms, 1),
    ...(peerMs && { 'torch ms': round(peerMs, 1), 'times faster': round(peerMs / ms, 2) }),
    GFLOP: round(operations, 1),
    'limit ms': round(limit, 1),
    'times the limit': round(ms / limit, 2),
    'others %': round(100 * Math.max(...times.others), 0),
  };
}

async function takeTurn(side: Side, times: number[], others: number[]): Promise<void> {
  const block = await watched(() => side.steps(STEPS));
  times.push(...block.result.ms.slice(1));
  others.push(block.others);
}

/**
 * Takes a few steps from the same parameters on a small catalogue on both sides, without dropout.
 * @throws where their losses differ: then the sides do not do the same work, and their times say nothing
 */
async function checkSameStep(shape: StepShape, setting: Setting, torch: Torch): Promise<void> {
  const without = Object.entries(shape.settings).map(([key, value]) => [
    key,
    /dropout/i.test(key) ? 0 : value,
  ]);
  const small: StepShape = {
    ...shape,
    items: 40,
    batch: 4,
    length: 6,
    targets: 8,
    // A single expert's gate is open, whatever the noise, which is drawn otherwise on each side.
    settings: { ...Object.fromEntries(without), ...(shape.settings.experts && { experts: 1 }) },
  };
  const batches = [0, 1].map((seed) => syntheticBatch(small, seed));
  const ours = new OwnSide(small, batches, cpuDevice({ threads: setting.threads }));
  const peer = await TorchSide.start(small, batches, setting, torch);
  await peer.load(ours.parameters);
  const own = (await ours.steps(10)).losses;
  const other = (await peer.steps(10)).losses;
  await ours.close();
  await peer.close();
  const difference = Math.max(...own.map((loss, i) => Math.abs(loss - other[i]) / loss));
  if (!(difference < 1e-4))
    throw new Error(`${shape.model}: losses of ten steps are [${own}] here and [${other}] in PyTorch`);
}

/**
 * Freshly initialised models know nothing: their loss is about that of a guess, but for UniSRec's, which prefers from the start
 * what is like a history, by cosines divided by a temperature. In any case both sides begin alike.
 */
function checkFirst({ name, items, model }: StepShape, ours: Block, peer: Block | undefined): void {
  const guess = Math.log(items);
  const sides = { rec: ours.losses, ...(peer && { PyTorch: peer.losses }) };
  for (const [side, losses] of Object.entries(sides))
    if (model !== 'unisrec' && !losses.every((loss) => Math.abs(loss - guess) < 0.5))
      throw new Error(
        `${name}: ${side}'s first losses are [${losses}]; ${guess.toFixed(2)} was to be expected`,
      );
  if (peer && !ours.losses.every((loss, i) => Math.abs(loss - peer.losses[i]) < 0.5))
    throw new Error(`${name}: first losses are [${ours.losses}] here and [${peer.losses}] in PyTorch`);
}
