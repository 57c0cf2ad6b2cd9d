import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { messageOf } from '../common/errors.ts';
import { readJson, writeFileAtomic } from '../common/files.ts';
import type { Progress } from '../common/progress.ts';
import type { TrackingSettings } from '../configs/tracking-settings.ts';
import type { EpochRecord } from './checkpoint.ts';

/** Which run of the server a run folder is logged as; a resumed run goes on with it. */
export const MLFLOW_FILE = 'mlflow.json';

/** What MLflow shows of a run besides its metrics. */
export interface Description {
  name: string;
  params: Record<string, unknown>;
  tags: Record<string, string>;
}

/** Milliseconds for one request: many, as a step of training may keep the answer waiting. */
const REQUEST = 60_000;
/** Milliseconds for all that is left to send at the end of a run: few where the user waits for it. */
const ENDING = { FINISHED: 20_000, FAILED: 3000, KILLED: 3000, paused: 20_000 };
/** MLflow's limits: params of a request, and characters of one (6,000 in new versions, 500 in old ones). */
const PARAMS = 100;
const PARAM_LENGTH = 500;

/** A server that answers, but not as wanted: asking again would not help. */
class Refused extends Error {}

type Body = Record<string, unknown>;

/**
 * Logs a run to an MLflow server by its REST API (2.0). It works beside the training, which never waits for it: what cannot be sent
 * is kept and sent later, and whatever goes wrong is a warning. The run folder has everything anyway.
 */
export class MlflowRun {
  readonly #settings: TrackingSettings;
  readonly #folder: string;
  readonly #progress: Progress;
  #waiting: (() => Promise<unknown>)[] = [];
  #working: Promise<void> | undefined;
  #runId = '';
  #warned = false;
  #refused = false;

  /** @param folder the run's */
  constructor(settings: TrackingSettings, folder: string, progress: Progress) {
    this.#settings = settings;
    this.#folder = folder;
    this.#progress = progress;
  }

  /** Makes the server's run, or goes on with it. */
  begin({ name, params, tags }: Description): void {
    const path = join(this.#folder, MLFLOW_FILE);
    if (existsSync(path)) {
      this.#send(async () => {
        this.#runId = (await readJson<{ runId: string }>(path)).runId;
        await this.#post('runs/update', { run_id: this.#runId, status: 'RUNNING' });
      });
      return;
    }
    this.#send(async () => {
      const experiment = await this.#experiment();
      const created = await this.#post('runs/create', {
        experiment_id: experiment,
        run_name: name,
        start_time: Date.now(),
        tags: pairs({ ...tags, 'mlflow.source.name': 'rec' }),
      });
      this.#runId = (created.run as { info: { run_id: string } }).info.run_id;
      const { mlflow: url } = this.#settings;
      await writeFileAtomic(path, `${JSON.stringify({ url, experiment, runId: this.#runId }, null, 2)}\n`);
    });
    const all = pairs(params).map(({ key, value }) => ({ key, value: value.slice(0, PARAM_LENGTH) }));
    for (let first = 0; first < all.length; first += PARAMS)
      this.#send(() => this.#log({ params: all.slice(first, first + PARAMS) }));
  }

  epoch(record: EpochRecord): void {
    const { epoch, step = epoch, loss, valid, learningRate } = record;
    const values = { 'train/loss': loss, 'train/learning_rate': learningRate, ...prefixed('valid/', valid) };
    const metrics = metricsOf(values, step);
    this.#send(() => this.#log({ metrics }));
  }

  /**
   * Says how the run ended, and waits until all is sent, or cannot be.
   * @param test what came out, at the epoch `step`
   */
  async end(status: keyof typeof ENDING, test: Record<string, number> = {}, step = 0): Promise<void> {
    const metrics = metricsOf(prefixed('test/', test), step);
    if (metrics.length) this.#send(() => this.#log({ metrics }));
    if (status !== 'paused')
      this.#send(() => this.#post('runs/update', { run_id: this.#runId, status, end_time: Date.now() }));
    const deadline = Date.now() + ENDING[status];
    while (this.#waiting.length && Date.now() < deadline) {
      await Promise.race([this.#work(), sleep(deadline - Date.now(), undefined, { ref: false })]);
      if (this.#waiting.length) await sleep(200);
    }
    if (this.#waiting.length)
      this.#progress.warning(
        `MLflow at ${this.#settings.mlflow} lacks the last of this run: it did not answer`,
      );
  }

  #send(step: () => Promise<unknown>): void {
    if (this.#refused) return;
    this.#waiting.push(step);
    void this.#work();
  }

  /** Sends what waits, in order, until something cannot be sent. */
  #work(): Promise<void> {
    this.#working ??= this.#sendAll().finally(() => {
      this.#working = undefined;
    });
    return this.#working;
  }

  async #sendAll(): Promise<void> {
    const { mlflow: url } = this.#settings;
    try {
      for (; this.#waiting.length; this.#waiting.shift()) await this.#waiting[0]();
      this.#warned = false;
    } catch (error) {
      if (error instanceof Refused) {
        this.#refused = true;
        this.#waiting = [];
        this.#progress.warning(`this run is not logged to MLflow at ${url} any more: ${error.message}`);
      } else if (!this.#warned) {
        this.#warned = true;
        const cause = error instanceof Error && error.cause ? error.cause : error;
        this.#progress.warning(`MLflow at ${url} cannot be reached (${messageOf(cause)}); it is tried again`);
      }
    }
  }

  async #experiment(): Promise<string> {
    const { experiment: name } = this.#settings;
    const find = () =>
      this.#request(`experiments/get-by-name?experiment_name=${encodeURIComponent(name)}`).then(
        ({ experiment }) => (experiment as { experiment_id: string }).experiment_id,
      );
    const orMissing = (code: string) => (error: unknown) => {
      if (error instanceof Refused && error.message.includes(code)) return undefined;
      throw error;
    };
    const known = await find().catch(orMissing('RESOURCE_DOES_NOT_EXIST'));
    if (known) return known;
    // Another run may make it at this moment.
    const made = await this.#post('experiments/create', { name }).catch(orMissing('RESOURCE_ALREADY_EXISTS'));
    return made ? String(made.experiment_id) : find();
  }

  #log(batch: Body): Promise<Body> {
    return this.#post('runs/log-batch', { run_id: this.#runId, ...batch });
  }

  #post(path: string, body: Body): Promise<Body> {
    return this.#request(path, { method: 'POST', body: JSON.stringify(body) });
  }

  async #request(path: string, init: RequestInit = {}): Promise<Body> {
    const url = `${this.#settings.mlflow.replace(/\/+$/, '')}/api/2.0/mlflow/${path}`;
    const headers = { 'content-type': 'application/json', ...authorization() };
    const response = await fetch(url, { ...init, headers, signal: AbortSignal.timeout(REQUEST) });
    const text = await response.text();
    if (response.status >= 500) throw new Error(`${response.status} ${text.slice(0, 200)}`);
    if (!response.ok) throw new Refused(`${path.split('?')[0]}: ${response.status} ${text.slice(0, 300)}`);
    try {
      return JSON.parse(text || '{}') as Body;
    } catch {
      throw new Refused(`${path.split('?')[0]}: the answer is not JSON: is it an MLflow server?`);
    }
  }
}

/** From the variables that MLflow's own client reads. */
function authorization(): { authorization?: string } {
  const { MLFLOW_TRACKING_TOKEN: token, MLFLOW_TRACKING_USERNAME: user } = process.env;
  if (token) return { authorization: `Bearer ${token}` };
  if (!user) return {};
  const password = process.env.MLFLOW_TRACKING_PASSWORD ?? '';
  return { authorization: `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}` };
}

function pairs(values: Record<string, unknown>): { key: string; value: string }[] {
  return Object.entries(values)
    .filter(([, value]) => value !== undefined)
    .map(([key, value]) => ({ key, value: typeof value === 'string' ? value : JSON.stringify(value) }));
}

const prefixed = (prefix: string, values: Record<string, number>) =>
  Object.fromEntries(Object.entries(values).map(([name, value]) => [prefix + name, value]));

/** MLflow's names have no '@': 'ndcg@10' is 'ndcg_at_10'. JSON has no NaN: such values are left out. */
function metricsOf(values: Record<string, number>, step: number) {
  const timestamp = Date.now();
  return Object.entries(values)
    .filter(([, value]) => Number.isFinite(value))
    .map(([name, value]) => ({ key: name.replace('@', '_at_'), value, timestamp, step }));
}
