import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Bench, type BenchRow, type BenchTable, median, round } from './bench.ts';
import { AskedProcess } from './peers/process.ts';
import { findTorch, TORCH_MISSING } from './peers/torch.ts';
import { SHAPES, type StepShape, syntheticBatch } from './step-shapes.ts';
import { BATCHES, type Block, TorchSide } from './step-sides.ts';

const TURNS = 3;
const STEPS = 6;
const TEXTS = 500;
/** One shape for every model, small enough for eager devices. */
export const STEP_SHAPES: StepShape[] = ['sasrec', 'gru4rec', 'sasrec-text', 'unisrec'].map((model) => {
  const known = SHAPES.find((shape) => shape.model === model)!;
  return { ...known, batch: 64, length: 20, targets: 512 };
});

/** A device to measure: how it is opened, and in which process. */
interface Candidate {
  name: string;
  device: string;
  threads: number;
  environment?: Record<string, string>;
}

/** What a device's process says when it has opened it, and answers for a model, or for the encoder. */
export type Opened = { error: string } | { reason: string };
export type Turn = { shape: string; steps: number } | { texts: number };

export const devices: Bench = {
  name: 'devices',
  describe: `steps of the four models and blair-mini's encoding on every device that works here, in turns, beside PyTorch`,
  async run() {
    const folder = mkdtempSync(join(tmpdir(), 'rec-bench-devices-'));
    try {
      return [await measure(candidates(folder))];
    } finally {
      rmSync(folder, { recursive: true });
    }
  },
};

function candidates(folder: string): Candidate[] {
  const threads = availableParallelism();
  const cpu = (name: string, environment?: Record<string, string>): Candidate => ({
    name: `cpu, ${threads} threads${name}`,
    device: 'cpu',
    threads,
    environment,
  });
  const mask = buildMask(folder);
  return [
    cpu(''),
    { name: 'cpu, 1 thread', device: 'cpu', threads: 1 },
    ...(mask
      ? [
          cpu(', no AVX-512', { LD_PRELOAD: mask }),
          cpu(', no AVX-512, AVX2 or FMA', { LD_PRELOAD: mask, MASK: 'avx2' }),
        ]
      : []),
    ...['tensorflow', 'webgpu', 'cuda'].map((device) => ({ name: device, device, threads })),
  ];
}

/** Compiles what hides processor features; undefined where it cannot be, or does not work. */
function buildMask(folder: string): string | undefined {
  const library = join(folder, 'mask-cpuid.so');
  const source = fileURLToPath(new URL('./peers/mask-cpuid.c', import.meta.url));
  const built = spawnSync('cc', ['-shared', '-fPIC', '-O2', '-o', library, source, '-ldl']);
  const works =
    built.status === 0 &&
    spawnSync(process.execPath, ['-e', ''], { env: { ...process.env, LD_PRELOAD: library } }).status === 0;
  if (!works)
    console.error(
      'rows without AVX-512 are left out: they need a C compiler, Linux, and CPUID that can fault',
    );
  return works ? library : undefined;
}

/** A process that measures one device. */
interface Side {
  name: string;
  /** Milliseconds of steps of a shape, or undefined where the device failed. */
  steps(shape: StepShape): Promise<number[]>;
  texts?(): Promise<number>;
  close(): Promise<void>;
}

async function openSide({ name, device, threads, environment }: Candidate): Promise<Side | undefined> {
  const child = fileURLToPath(new URL('./devices-child.ts', import.meta.url));
  const process_ = new AskedProcess(
    process.execPath,
    ['--import', 'tsx', child, device, JSON.stringify({ threads })],
    environment,
  );
  const opened = await process_.next<Opened>();
  if ('error' in opened) {
    console.error(`${name} is left out: ${opened.error}`);
    await process_.close();
    return undefined;
  }
  return {
    name,
    steps: async ({ name: shape }) => (await process_.ask<Block>({ shape, steps: STEPS } satisfies Turn)).ms,
    texts: async () => (await process_.ask<{ seconds: number }>({ texts: TEXTS } satisfies Turn)).seconds,
    close: () => process_.close(),
  };
}

async function torchSide(): Promise<Side | undefined> {
  const torch = findTorch();
  if (!torch) return undefined;
  const threads = availableParallelism();
  const sides = new Map<string, TorchSide>();
  for (const shape of STEP_SHAPES) {
    const batches = Array.from({ length: BATCHES }, (_, i) => syntheticBatch(shape, i));
    sides.set(shape.name, await TorchSide.start(shape, batches, { threads, tuned: false }, torch));
  }
  return {
    name: `PyTorch ${torch.version}, ${threads} threads`,
    steps: async ({ name }) => (await sides.get(name)!.steps(STEPS)).ms,
    async close() {
      for (const side of sides.values()) await side.close();
    },
  };
}

async function measure(list: readonly Candidate[]): Promise<BenchTable> {
  const opened = [];
  for (const candidate of list) opened.push(await openSide(candidate));
  const sides = [...opened, await torchSide()].filter((side) => side !== undefined);
  const ms = new Map<string, number[]>();
  const seconds = new Map<string, number[]>();
  const keep = (all: Map<string, number[]>, key: string, values: number[]) =>
    all.set(key, [...(all.get(key) ?? []), ...values]);
  for (let turn = 0; turn <= TURNS; turn++)
    for (const side of sides) {
      for (const shape of STEP_SHAPES) {
        const times = await side.steps(shape);
        // The first turn compiles; a turn's first step warms caches that others have used.
        if (turn) keep(ms, `${side.name}|${shape.name}`, times.slice(1));
      }
      const spent = await side.texts?.();
      if (turn && spent) keep(seconds, side.name, [spent]);
    }
  for (const side of sides) await side.close();
  const rows = sides.map(({ name }): BenchRow => {
    const spent = seconds.get(name);
    return {
      device: name,
      ...Object.fromEntries(
        STEP_SHAPES.map((shape) => [`${shape.model} ms`, round(median(ms.get(`${name}|${shape.name}`)!), 1)]),
      ),
      'blair-mini texts/s': spent ? round(TEXTS / median(spent), 0) : '',
    };
  });
  return {
    title: `a training step of 64 x 20 histories, 512 targets, 5,000 items (texts 768 wide), and encoding; medians of ${TURNS} turns`,
    rows,
    notes: findTorch() ? [] : [TORCH_MISSING],
  };
}

export const shapeNamed = (name: string): StepShape => STEP_SHAPES.find((shape) => shape.name === name)!;
