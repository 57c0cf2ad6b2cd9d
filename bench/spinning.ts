import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { UsageError } from '../common/errors.ts';
import { type Bench, type BenchRow, median, round } from './bench.ts';
import { type Opened, STEP_SHAPES, type Turn } from './devices.ts';
import { AskedProcess } from './peers/process.ts';
import type { StepShape } from './step-shapes.ts';
import type { Block } from './step-sides.ts';

const THREADS = 2;
const TURNS = 4;
const STEPS = 8;
/** UniSRec's steps take half a second: they would be most of the bench. */
const shapes = STEP_SHAPES.filter(({ model }) => model !== 'unisrec');
/** Processes that keep a core busy meanwhile, in one table after the other. */
const BUSY = [0, 2];

export const spinning: Bench = {
  name: 'spinning',
  describe: `training steps with the setting \`spinning\` and without, in turns, ${THREADS} threads, alone and beside busy processes (options: how many)`,
  async run(options) {
    const counts = options.map(Number);
    if (!counts.every((n) => n >= 0)) throw new UsageError(`numbers of busy processes; got [${options}]`);
    const sides = await Promise.all([false, true].map(openSide));
    const rows: BenchRow[] = [];
    for (const busy of options.length ? counts : BUSY) {
      const others = Array.from({ length: busy }, () => spawn(process.execPath, ['-e', 'for (;;);']));
      try {
        for (const shape of shapes) rows.push({ 'busy processes': busy, ...(await measure(sides, shape)) });
      } finally {
        for (const other of others) await end(other);
      }
    }
    for (const side of sides) await side.close();
    return [{ title: `ms a step of 64 x 20 histories, medians of ${TURNS} turns of ${STEPS} steps`, rows }];
  },
};

async function openSide(spinning: boolean): Promise<AskedProcess> {
  const child = fileURLToPath(new URL('./devices-child.ts', import.meta.url));
  const options = JSON.stringify({ threads: THREADS, spinning });
  const side = new AskedProcess(process.execPath, ['--import', 'tsx', child, 'cpu', options]);
  await side.next<Opened>();
  return side;
}

async function measure([off, on]: AskedProcess[], { name, model }: StepShape): Promise<BenchRow> {
  const ms = new Map<AskedProcess, number[]>();
  for (let turn = 0; turn <= TURNS; turn++)
    for (const side of [off, on]) {
      const block = await side.ask<Block>({ shape: name, steps: STEPS } satisfies Turn);
      // The first turn compiles.
      if (turn) ms.set(side, [...(ms.get(side) ?? []), ...block.ms]);
    }
  const [without, spinning] = [off, on].map((side) => median(ms.get(side)!));
  return {
    model,
    'ms without': round(without, 1),
    'ms with': round(spinning, 1),
    'with / without': round(spinning / without, 2),
  };
}

function end(child: ChildProcess): Promise<void> {
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  child.kill();
  return ended;
}
