import { randomUUID } from 'node:crypto';
import { existsSync, readdirSync } from 'node:fs';
import { appendFile, mkdir, readdir, readFile, rm } from 'node:fs/promises';
import { hostname } from 'node:os';
import { basename, join, relative, resolve } from 'node:path';
import { UsageError, UserError } from '../common/errors.ts';
import { explainFileError, writeFileAtomic } from '../common/files.ts';
import { readYamlLayer } from '../configs/layers.ts';
import type { Plugin } from '../configs/plugins.ts';
import type { EpochRecord, TrainingState } from './checkpoint.ts';
import { learningCurve } from './curve.ts';
import type { Environment } from './environment.ts';
import { EVENTS_FILE, EventsWriter } from './events.ts';
import type { MlflowRun } from './mlflow.ts';
import { RANKS_FILE, type TestRanks, writeRanks } from './ranks.ts';

/** Names the process that works on the run; gone when the run is finished. */
const OWNER_FILE = 'owner';

/** Of these, one is in a folder where a run was cut off as it began: a sweep's process has a log before all else. */
const BEGUN = [OWNER_FILE, 'log.txt'];

/** '<dataset>-<model>-<encoder>-<hash>', of words that may be paths. */
export function runName(words: readonly string[], hash: string): string {
  return [...words.map((word) => basename(word).replace(/[^\w.]+/g, '_')), hash.slice(0, 8)].join('-');
}

/** The files of a run: a recipe that repeats it, and what came out. */
export class RunFolder {
  readonly path: string;
  /** Where the run is logged besides. */
  mlflow?: MlflowRun;
  #owner = '';

  constructor(path: string) {
    this.path = path;
  }

  /** A folder that is there. @throws UserError where it is no run's */
  static open(path: string): RunFolder {
    const folder = new RunFolder(resolve(path));
    if (!existsSync(folder.file('config.yaml')))
      throw new UserError(`${path}: not a run folder (it has no config.yaml)`);
    // The one thing that a pretraining needs and a run has not.
    if ('pairs' in readYamlLayer(folder.file('config.yaml')).values)
      throw new UserError(`${path}: holds a pretraining, not a run of a recommender`);
    return folder;
  }

  /** A folder of the caller's choice, where one was given. @throws UserError where it is a run already, or holds other things */
  static given(path: string | undefined): RunFolder | undefined {
    if (path === undefined) return undefined;
    const folder = new RunFolder(resolve(path));
    if (existsSync(folder.file('config.yaml')))
      throw new UserError(`${folder.shown}: is a run already; go on with it with --resume ${folder.shown}`);
    const there = existsSync(folder.path) ? readdirSync(folder.path) : [];
    if (there.length && !BEGUN.some((name) => there.includes(name)))
      throw new UsageError(`${folder.shown}: there is something already; name a new folder`);
    return folder;
  }

  /** Makes runs/<time>-<dataset>-<model>-<encoder>-<hash>/. */
  static make(runs: string, words: readonly string[], hash: string): Promise<RunFolder> {
    const time = new Date().toISOString().slice(0, 19).replace(/[:T]/g, '-');
    return makeUnique(join(runs, `${time}-${runName(words, hash)}`));
  }

  /** Puts the run's recipe into the folder. */
  async begin(
    yaml: string,
    manifest: unknown,
    environment: Environment,
    plugins: readonly Plugin[] = [],
  ): Promise<void> {
    await this.claim();
    await writeFileAtomic(this.file('environment.json'), `${JSON.stringify(environment, null, 2)}\n`);
    await writeFileAtomic(this.file('dataset.json'), `${JSON.stringify(manifest, null, 2)}\n`);
    for (const [i, { name, code }] of plugins.entries())
      await writeFileAtomic(this.file(`plugins/${i + 1}-${name}.mjs`), code);
    // Last: a folder that has it can be resumed.
    await writeFileAtomic(this.file('config.yaml'), yaml);
  }

  /** Takes the run over: a process that still works on it finds out at its next epoch or checkpoint, and stops. */
  async claim(): Promise<void> {
    this.#owner = `${hostname()} ${process.pid} ${randomUUID()}`;
    await writeFileAtomic(this.file(OWNER_FILE), this.#owner);
  }

  /** @throws UserError where another process has taken the run over, or finished it */
  async requireOwned(): Promise<void> {
    const path = this.file(OWNER_FILE);
    const owner = await readFile(path, 'utf8').catch((error) => {
      if (error.code === 'ENOENT') return 'nobody: it is finished';
      throw explainFileError(error, path);
    });
    if (owner !== this.#owner)
      throw new UserError(`${this.shown}: another process has taken this run over (${owner})`);
  }

  file(name: string): string {
    return join(this.path, name);
  }

  /** The options that repeat the run: its configuration, and the plugins as they were. */
  recipe(): { config: string; plugin: string[] } {
    const folder = this.file('plugins');
    const plugins = existsSync(folder) ? readdirSync(folder) : [];
    // Their names begin with their numbers: 10-x comes after 2-y.
    plugins.sort((a, b) => Number.parseInt(a, 10) - Number.parseInt(b, 10));
    return { config: this.file('config.yaml'), plugin: plugins.map((name) => join(folder, name)) };
  }

  get best(): string {
    return this.file('best.safetensors');
  }

  get last(): string {
    return this.file('last.safetensors');
  }

  /** As shown to the user: relative to where the command was given. */
  get shown(): string {
    return relative(process.cwd(), this.path) || this.path;
  }

  /** Adds an epoch's line to metrics.jsonl and its points to the TensorBoard events, and to MLflow where it is followed there. */
  async addEpoch(record: EpochRecord): Promise<void> {
    const path = this.file('metrics.jsonl');
    await appendFile(path, `${JSON.stringify(record)}\n`).catch((error) => {
      throw explainFileError(error, path);
    });
    const events = new EventsWriter(this.file(EVENTS_FILE));
    writeEvents(events, record);
    events.close();
    this.mlflow?.epoch(record);
  }

  /** Drops what was logged after the checkpoint that a resumed run starts from, and files that a kill left unfinished. */
  async rewind({ records }: TrainingState): Promise<void> {
    for (const name of await readdir(this.path)) if (name.endsWith('.tmp')) await rm(this.file(name));
    await writeFileAtomic(this.file('metrics.jsonl'), records.map((r) => `${JSON.stringify(r)}\n`).join(''));
    const events = new EventsWriter(this.file(EVENTS_FILE));
    await events.truncateAfter(records.length ? stepOf(records[records.length - 1]) : 0);
    events.close();
  }

  async drawCurve({ records, best }: TrainingState, metric: string): Promise<void> {
    await writeFileAtomic(this.file('curve.svg'), learningCurve(records, metric, best.epoch));
  }

  /** Writes ranks, where there are some, and the result: a folder that has the result is finished. */
  async finish(result: unknown, ranks?: TestRanks): Promise<void> {
    await this.requireOwned();
    if (ranks) await writeRanks(this.file(RANKS_FILE), ranks);
    await writeFileAtomic(this.file('result.json'), `${JSON.stringify(result, null, 2)}\n`);
    await rm(this.file(OWNER_FILE));
  }
}

/** Where a record stands in TensorBoard's series. */
const stepOf = ({ epoch, step }: EpochRecord) => step ?? epoch;

function writeEvents(events: EventsWriter, record: EpochRecord): void {
  const now = Date.now() / 1000;
  const step = stepOf(record);
  events.scalar('train/loss', record.loss, step, now);
  events.scalar('train/learning_rate', record.learningRate, step, now);
  for (const [name, value] of Object.entries(record.valid)) events.scalar(`valid/${name}`, value, step, now);
}

/** Two runs in one second get names of their own. */
async function makeUnique(path: string): Promise<RunFolder> {
  for (let n = 1; ; n++) {
    const candidate = n === 1 ? path : `${path}-${n}`;
    try {
      await mkdir(join(candidate, '..'), { recursive: true });
      await mkdir(candidate);
      return new RunFolder(candidate);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw explainFileError(error, candidate);
    }
  }
}
