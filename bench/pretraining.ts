import { spawnSync } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { seeded } from '../common/random.ts';
import { createEncoder, createMissing, type Heads, headShapes } from '../encoders/pretraining/heads.ts';
import { rowsWithin } from '../encoders/pretraining/parts.ts';
import { PretrainingStep } from '../encoders/pretraining/step.ts';
import { robertaConfigFile } from '../encoders/roberta-files.ts';
import type { RobertaConfig } from '../encoders/roberta-model.ts';
import { cpuDevice, type Device, linearSchedule, openOptimizer, Parameters } from '../engine/index.ts';
import { type Bench, type BenchRow, median, round, watched } from './bench.ts';
import { findTorch, type Torch, TorchProcess } from './peers/torch.ts';

interface Shape {
  name: string;
  config: RobertaConfig;
  pairs: number;
  length: number;
  /** For activations, beside the model. */
  memoryMb: number;
  /** Set where PyTorch's one pass takes more memory than a small machine has: 23 GB, for the last shape. */
  alone?: boolean;
}

const rest = {
  maxPositions: 514,
  tokenTypes: 1,
  padId: 1,
  epsilon: 1e-5,
  hiddenDropout: 0.1,
  attentionDropout: 0.1,
};
const base = { layers: 12, heads: 12, hiddenSize: 768, innerSize: 3072, vocabSize: 50265, ...rest };
const mini = { layers: 4, heads: 4, hiddenSize: 256, innerSize: 1024, vocabSize: 8192, ...rest };
export const shapes: Shape[] = [
  { name: 'roberta-base, 16 pairs x 64 tokens', config: base, pairs: 16, length: 64, memoryMb: 2048 },
  {
    name: 'blair-mini, 128 pairs x 64 tokens, in one pass',
    config: mini,
    pairs: 128,
    length: 64,
    memoryMb: 2560,
  },
  {
    name: 'blair-mini, 768 pairs x 64 tokens, within 1 GB',
    config: mini,
    pairs: 768,
    length: 64,
    memoryMb: 1024,
    alone: true,
  },
];

const MLM_WEIGHT = 0.1;
const TURNS = 2;
const STEPS = 2;

/** BLaIR's pretraining step beside the official code's way in PyTorch, in turns. */
export const pretraining: Bench = {
  name: 'pretraining',
  describe:
    "BLaIR's training step (contrastive + 0.1 MLM, AdamW) beside Hugging Face's RoBERTa in PyTorch, in turns (option: base or mini)",
  async run([chosen]) {
    const torch = findTorch();
    const peers = torch && hasTransformers(torch) ? torch : undefined;
    const rows: BenchRow[] = [];
    for (const shape of shapes.filter(({ name }) => !chosen || name.includes(chosen))) {
      rows.push(await measurePretraining(shape, shape.alone ? undefined : peers));
      console.error(rows.at(-1));
    }
    const notes = [
      peers
        ? `PyTorch ${peers.version}: two passes, the LM head over all positions, as the official code`
        : 'PyTorch with transformers is not at hand: its columns are left out',
      'others %: largest share of the cores that other processes took during a turn',
    ];
    return [{ title: `median ms of a step, ${availableParallelism()} threads`, rows, notes }];
  },
};

export const hasTransformers = ({ python }: Torch) =>
  spawnSync(python, ['-c', 'import transformers']).status === 0;

/** @param torch with transformers */
export async function measurePretraining(
  { name, config, pairs, length, memoryMb }: Shape,
  torch: (Torch & { device?: string }) | undefined,
  device: Device = cpuDevice(),
): Promise<BenchRow> {
  const threads = availableParallelism();
  const parameters = new Parameters({ seed: 1 });
  const heads: Heads = { pooling: 'cls', pooler: 'tanh', lm: true };
  createEncoder(parameters, config);
  createMissing(parameters, headShapes(config, heads));
  const step = new PretrainingStep({
    parameters,
    config,
    heads,
    objective: { contrastive: true, temperature: 0.05, mlmWeight: MLM_WEIGHT, mlmProbability: 0.15 },
    vocabulary: { size: config.vocabSize, maskId: config.vocabSize - 1, special: new Set([0, 1, 2]) },
    rows: rowsWithin(memoryMb * 2 ** 20, 2 * pairs, length, config),
    device,
  });
  const schedule = linearSchedule(0, 1000);
  const adamw = { type: 'adamw', learningRate: 5e-5, clipNorm: 1, schedule } as const;
  const optimizer = openOptimizer(parameters, adamw, device);
  const peer =
    torch &&
    new TorchProcess(torch, './pretraining_step.py', {
      config: robertaConfigFile(config),
      pairs,
      length,
      threads,
      device: torch.device,
      mlmWeight: MLM_WEIGHT,
    });
  const ourSteps = async (count: number) => {
    const ms: number[] = [];
    const before = process.cpuUsage();
    for (let i = 0; i < count; i++) {
      const number = optimizer.steps + 1;
      const random = seeded('texts', number);
      const started = performance.now();
      const texts = Array.from({ length: 2 * pairs }, () => textOf(length, config.vocabSize, random.below));
      await step.run(texts.slice(0, pairs), texts.slice(pairs), { seed: 1, step: number }, random);
      await optimizer.step();
      ms.push(performance.now() - started);
    }
    const { user, system } = process.cpuUsage(before);
    return { ms, cpuMs: (user + system) / 1e3 };
  };
  const peerSteps = async (count: number) => (await peer!.ask<{ ms: number[] }>({ steps: count })).ms;
  const times = { ours: [] as number[], peer: [] as number[], others: [] as number[] };
  try {
    // Compiles, and lets allocators settle.
    await ourSteps(2);
    if (peer) await peerSteps(1);
    for (let turn = 0; turn < TURNS; turn++) {
      const mine = await watched(() => ourSteps(STEPS));
      times.ours.push(...mine.result.ms);
      times.others.push(mine.others);
      if (peer) times.peer.push(...(await peerSteps(STEPS)));
    }
  } finally {
    await step.close();
    await peer?.close();
    parameters.dispose();
  }
  const ms = median(times.ours);
  const peerMs = peer && median(times.peer);
  return {
    step: name,
    'ours ms': round(ms, 0),
    ...(peerMs && { 'torch ms': round(peerMs, 0), 'times faster': round(peerMs / ms, 2) }),
    'pairs/s': round((pairs / ms) * 1e3, 1),
    'peak GB': round(process.resourceUsage().maxRSS / 2 ** 20, 2),
    'others %': round(100 * Math.max(...times.others), 0),
  };
}

function textOf(length: number, vocabulary: number, below: (n: number) => number): number[] {
  return [0, ...Array.from({ length: length - 2 }, () => 4 + below(vocabulary - 5)), 2];
}
