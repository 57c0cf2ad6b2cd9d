import { appendFile, mkdir, readdir, rm } from 'node:fs/promises';
import { basename, join, relative } from 'node:path';
import { explainFileError, readJson, writeFileAtomic } from '../common/files.ts';
import type { EpochRecord, TrainingState } from './checkpoint.ts';
import { learningCurve } from './curve.ts';
import type { Environment } from './environment.ts';
import { EVENTS_FILE, EventsWriter } from './events.ts';
import { RANKS_FILE, type TestRanks, writeRanks } from './ranks.ts';

/** The files of a run: a recipe that repeats it, and what came out. */
export class RunFolder {
  readonly path: string;

  constructor(path: string) {
    this.path = path;
  }

  /** Makes runs/<time>-<dataset>-<model>-<encoder>-<hash>/ with the run's recipe in it. */
  static async create(
    runs: string,
    words: readonly string[],
    hash: string,
    yaml: string,
    manifest: unknown,
    environment: Environment,
  ): Promise<RunFolder> {
    const time = new Date().toISOString().slice(0, 19).replace(/[:T]/g, '-');
    const name = [time, ...words.map((w) => basename(w).replace(/[^\w.]+/g, '_')), hash.slice(0, 8)].join(
      '-',
    );
    const folder = await makeUnique(join(runs, name));
    await writeFileAtomic(folder.file('environment.json'), `${JSON.stringify(environment, null, 2)}\n`);
    await writeFileAtomic(folder.file('dataset.json'), `${JSON.stringify(manifest, null, 2)}\n`);
    // Last: a folder that has it can be resumed.
    await writeFileAtomic(folder.file('config.yaml'), yaml);
    return folder;
  }

  file(name: string): string {
    return join(this.path, name);
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

  /** Adds an epoch's line to metrics.jsonl and its points to the TensorBoard events. */
  async addEpoch(record: EpochRecord): Promise<void> {
    await appendFile(this.file('metrics.jsonl'), `${JSON.stringify(record)}\n`);
    const events = new EventsWriter(this.file(EVENTS_FILE));
    writeEvents(events, record);
    events.close();
  }

  /** Drops what was logged after the checkpoint that a resumed run starts from, and files that a kill left unfinished. */
  async rewind({ records }: TrainingState): Promise<void> {
    for (const name of await readdir(this.path)) if (name.endsWith('.tmp')) await rm(this.file(name));
    await writeFileAtomic(this.file('metrics.jsonl'), records.map((r) => `${JSON.stringify(r)}\n`).join(''));
    const events = new EventsWriter(this.file(EVENTS_FILE));
    await events.truncateAfter(records.length);
    events.close();
  }

  async drawCurve({ records, best }: TrainingState, metric: string): Promise<void> {
    await writeFileAtomic(this.file('curve.svg'), learningCurve(records, metric, best.epoch));
  }

  /** Writes ranks and result: a folder that has the result is finished. */
  async finish(result: unknown, ranks: TestRanks): Promise<void> {
    await writeRanks(this.file(RANKS_FILE), ranks);
    await writeFileAtomic(this.file('result.json'), `${JSON.stringify(result, null, 2)}\n`);
  }

  readResult<T>(): Promise<T> {
    return readJson<T>(this.file('result.json'));
  }
}

function writeEvents(events: EventsWriter, { epoch, loss, valid, learningRate }: EpochRecord): void {
  const now = Date.now() / 1000;
  events.scalar('train/loss', loss, epoch, now);
  events.scalar('train/learning_rate', learningRate, epoch, now);
  for (const [name, value] of Object.entries(valid)) events.scalar(`valid/${name}`, value, epoch, now);
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
