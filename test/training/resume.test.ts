import {
  cpSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { UserError } from '../../common/errors.ts';
import { Progress, type ProgressEvent } from '../../common/progress.ts';
import type { TrainingState } from '../../training/checkpoint.ts';
import { type RunResult, resumeExperiment, runExperiment } from '../../training/index.ts';
import { type Ended, start } from '../cli/rec.ts';
import { writeDataset } from './support.ts';

interface Context {
  folder: string;
  data: string;
  /** The run without interruption: its folder and what it came to. */
  whole: string;
  printed: RunResult;
}

const test = suite<Context>('resume');

const EPOCHS = 8;
/** A text model with dropout, in little; every step may be written as a checkpoint. */
const settings = [
  ...[
    'model.hiddenSize=8',
    'model.innerSize=8',
    'model.adaptorSize=8',
    'encoder.dims=8',
    'train.windows=rows',
  ],
  ...[
    'train.batchSize=64',
    `train.epochs=${EPOCHS}`,
    'train.checkpointSeconds=0',
    'eval.topk=5,10',
    'seed=3',
  ],
];
const given = (data: string) => ({ model: 'sasrec-text', encoder: 'lsa', dataset: data, set: settings });

/** Runs or resumes in this process, which is quicker than the command. */
const runHere = (data: string, runs: string, threads: string) =>
  runExperiment({ ...given(data), runs, threads }, new Progress());
const resumeHere = (resume: string, events: ProgressEvent[] = []) =>
  resumeExperiment({ set: [], runs: '', resume }, new Progress((event) => events.push(event)));

/** The same as a command line. */
const command = (data: string, runs: string, ...more: string[]) => {
  const { model, encoder, dataset, set } = given(data);
  return [
    'run',
    '--quiet',
    '--model',
    model,
    '--encoder',
    encoder,
    '--dataset',
    dataset,
    '--runs',
    runs,
    '--set',
    ...set,
    ...more,
  ];
};

const only = (runs: string) => join(runs, readdirSync(runs)[0]);

test.before(async (context) => {
  context.folder = mkdtempSync(join(tmpdir(), 'rec-resume-'));
  process.env.REC_CACHE = join(context.folder, 'cache');
  context.data = writeDataset(join(context.folder, 'rings'));
  const runs = join(context.folder, 'whole');
  context.printed = await runHere(context.data, runs, '1');
  context.whole = only(runs);
});
test.after(({ folder }) => rmSync(folder, { recursive: true }));

/** Where a run's checkpoint stands; undefined as long as there is none. */
function stateOf(run: string): TrainingState | undefined {
  const path = join(run, 'last.safetensors');
  if (!existsSync(path)) return undefined;
  const bytes = readFileSync(path);
  const header = JSON.parse(bytes.subarray(8, 8 + Number(bytes.readBigUInt64LE())).toString());
  return JSON.parse(header.__metadata__.state);
}

type Moment = (run: string) => boolean;
const lines = (run: string) =>
  existsSync(join(run, 'metrics.jsonl'))
    ? readFileSync(join(run, 'metrics.jsonl'), 'utf8').split('\n').length - 1
    : 0;
/** Within epoch `epoch`, `batch` steps or more done. */
const within =
  (epoch: number, batch: number): Moment =>
  (run) => {
    const state = stateOf(run);
    return state !== undefined && (state.epoch > epoch || (state.epoch === epoch && state.batch >= batch));
  };

/** Starts the command as a user does and sends it a signal at a moment; `run` is its folder, once there. */
async function interrupt(
  args: string[],
  run: () => string | undefined,
  at: Moment,
  signal: NodeJS.Signals,
): Promise<Ended> {
  const { child, ended } = start(args);
  while (child.exitCode === null && child.signalCode === null) {
    const path = run();
    if (path && at(path)) {
      child.kill(signal);
      break;
    }
    await new Promise((resolve) => setTimeout(resolve, 4));
  }
  return ended;
}

/** What must not depend on interruptions: all but times, memory and the folder's name. */
function outcome(run: string) {
  const {
    timing: _t,
    peakRssMb: _m,
    run: _r,
    ...result
  } = JSON.parse(readFileSync(join(run, 'result.json'), 'utf8'));
  const records = readFileSync(join(run, 'metrics.jsonl'), 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => {
      const { trainSeconds: _s, evalSeconds: _e, ...record } = JSON.parse(line);
      return record;
    });
  return { result, records, best: readFileSync(join(run, 'best.safetensors')).toString('base64') };
}

/** The scalars of an events file are as many as those of the uninterrupted run: none is lost, none twice. */
const eventBytes = (run: string) => {
  const name = readdirSync(run).find((file) => file.includes('tfevents'));
  return readFileSync(join(run, name!)).length;
};

test('killed at several moments and resumed each time, a run ends as the uninterrupted one', async ({
  folder,
  data,
  whole,
}) => {
  const runs = join(folder, 'killed');
  const run = () => (existsSync(runs) && readdirSync(runs).length ? only(runs) : undefined);
  const moments: Moment[] = [
    // Before the first checkpoint; within epochs; as an epoch's line is written; soon after a resume.
    (path) => existsSync(join(path, 'config.yaml')),
    within(1, 2),
    (path) => lines(path) >= 2,
    within(4, 3),
    within(5, 1),
  ];
  for (const [i, moment] of moments.entries()) {
    const args = i === 0 ? command(data, runs) : ['run', '--quiet', '--resume', run()!];
    const { code, stderr } = await interrupt(args, run, moment, 'SIGKILL');
    assert.is(code, null, `moment ${i}: the run ended before it was killed: ${stderr}`);
    assert.not.ok(existsSync(join(run()!, 'result.json')));
  }
  await resumeHere(run()!);
  assert.equal(outcome(run()!), outcome(whole));
  assert.is(eventBytes(run()!), eventBytes(whole));
  assert.equal(readdirSync(run()!).sort(), readdirSync(whole).sort(), 'files left over or missing');
});

test('stopped by Ctrl-C, a run exits with 130 and can be resumed to the same end', async ({
  folder,
  data,
  whole,
}) => {
  const runs = join(folder, 'stopped');
  const run = () => (existsSync(runs) && readdirSync(runs).length ? only(runs) : undefined);
  const args = command(data, runs, 'train.checkpointSeconds=3600');
  const first = await interrupt(args, run, (path) => lines(path) >= 2, 'SIGINT');
  assert.is(first.code, 130, first.stderr);
  assert.is(first.stdout, '');
  // With no checkpoint due for an hour, the one that is there was written on the way out.
  assert.ok(within(2, 0)(run()!));
  await resumeHere(run()!);
  assert.equal(outcome(run()!), outcome(whole));
});

test('one thread or two, the numbers are the same', async ({ folder, data, whole }) => {
  const runs = join(folder, 'threads');
  await runHere(data, runs, '2');
  assert.equal(outcome(only(runs)), outcome(whole));
});

test('resuming a finished run gives its result', async ({ whole, printed }) => {
  const before = readdirSync(whole).map((name) => readFileSync(join(whole, name)).toString('base64'));
  assert.equal(await resumeHere(whole), printed);
  assert.equal(
    readdirSync(whole).map((name) => readFileSync(join(whole, name)).toString('base64')),
    before,
  );
});

/** A copy of the finished run without its result: as if killed in the last ranking. */
function unfinished(whole: string, name: string): string {
  const copy = join(whole, '..', '..', name);
  cpSync(whole, copy, { recursive: true });
  rmSync(join(copy, 'result.json'));
  return copy;
}

test('killed after the last epoch, only the last ranking is done again', async ({ whole }) => {
  const run = unfinished(whole, 'ranked');
  const events: ProgressEvent[] = [];
  await resumeHere(run, events);
  const tasks = events.flatMap((event) => (event.kind === 'begin' ? [event.task] : []));
  assert.ok(tasks.includes('ranking'));
  assert.not.ok(
    tasks.some((task) => task.startsWith('epoch')),
    tasks.join(),
  );
  assert.equal(outcome(run), outcome(whole));
});

test('what cannot be resumed is said', async ({ folder, data, whole }) => {
  const attempt = async (run: string): Promise<string> => {
    const error = await resumeHere(run).catch((reason: unknown) => reason);
    assert.instance(error, UserError, String(error));
    return (error as Error).message;
  };
  const run = unfinished(whole, 'damaged');
  const last = join(run, 'last.safetensors');
  truncateSync(last, 1000);
  assert.match(await attempt(run), `${last}: not a valid safetensors file`);
  writeFileSync(last, 'hello');
  assert.match(await attempt(run), `${last}: not a valid safetensors file`);
  cpSync(join(run, 'best.safetensors'), last);
  assert.match(
    await attempt(run),
    /last\.safetensors: tensor 'optimizer|last\.safetensors: has no training state/,
  );
  assert.match(await attempt(folder), 'not a run folder');
  assert.match(await attempt(join(folder, 'nowhere')), 'not a run folder');

  const other = unfinished(whole, 'other-data');
  writeDataset(data, { seed: 2 });
  try {
    assert.match(await attempt(other), "dataset 'rings' has changed since this run began");
  } finally {
    writeDataset(data);
  }
});

test.run();
