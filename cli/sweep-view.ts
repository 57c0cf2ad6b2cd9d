import { basename, join } from 'node:path';
import { groupBy } from '../common/group.ts';
import { bestRows, type Sweep, secondsLeft, settingsAsText, type TrialRow } from '../sweeps/index.ts';
import { formatDuration, paint, table } from './style.ts';

/** The table on a terminal is redrawn this often, in milliseconds. */
const interval = 500;

/**
 * Shows a sweep on standard error. On a terminal: what ended, line by line, and below it a table of the running trials
 * with the best so far and the time left, redrawn in place. Elsewhere: a line whenever a trial begins or ends. Quiet:
 * failures only.
 */
export class SweepView {
  readonly #sweep: Sweep;
  readonly #stream: NodeJS.WriteStream;
  readonly #quiet: boolean;
  readonly #shown = new Map<TrialRow, string>();
  readonly #timer?: NodeJS.Timeout;
  #height = 0;

  constructor(sweep: Sweep, stream: NodeJS.WriteStream, quiet: boolean) {
    this.#sweep = sweep;
    this.#stream = stream;
    this.#quiet = quiet;
    for (const row of sweep.rows) this.#shown.set(row, '');
    if (stream.isTTY && !quiet) this.#timer = setInterval(() => this.#draw(), interval);
  }

  /** A row has changed. */
  update(row: TrialRow): void {
    const event = eventOf(row);
    if (!event || this.#shown.get(row) === event) return;
    this.#shown.set(row, event);
    const isFailure = row.error !== undefined;
    if (this.#quiet && !isFailure) return;
    if (this.#stream.isTTY && row.status === 'running') return;
    this.#erase();
    const line = `${settingsAsText(row.trial.settings)}: ${event}`;
    this.#stream.write(`${isFailure ? paint(this.#stream, 'yellow', line) : line}\n`);
  }

  /** Something else has happened. */
  say(text: string): void {
    this.#erase();
    this.#stream.write(`${text}\n`);
  }

  close(): void {
    clearInterval(this.#timer);
    this.#erase();
  }

  #draw(): void {
    this.#erase();
    const room = (this.#stream.rows || 24) - 2;
    const width = (this.#stream.columns || 80) - 1;
    const lines = overviewLines(this.#sweep).slice(0, room);
    this.#stream.write(lines.map((line) => `${line.slice(0, width)}\n`).join(''));
    this.#height = lines.length;
  }

  #erase(): void {
    if (this.#height) this.#stream.write(`\x1b[${this.#height}A\x1b[J`);
    this.#height = 0;
  }
}

/** What there is to tell of a trial, once. */
function eventOf({ trial: { metric }, status, state, stop, error }: TrialRow): string | undefined {
  const score = state.best === undefined ? '' : `, best ${metric} ${state.best.toFixed(4)}`;
  if (status === 'done') return `done: ${stop}${score}`;
  if (status === 'stopped') return `stopped: ${stop}${score}`;
  if (status === 'failed') return `failed twice: ${error}`;
  if (status === 'running') return 'running';
  return error && `failed, is tried once more: ${error}`;
}

function overviewLines(sweep: Sweep): string[] {
  const { rows, plan } = sweep;
  const count = (status: TrialRow['status']) => rows.filter((row) => row.status === status).length;
  const counts = (['done', 'stopped', 'failed', 'running', 'waiting'] as const)
    .filter((status) => count(status))
    .map((status) => `${count(status)} ${status}`);
  const left = secondsLeft(sweep);
  const rung = rows.find(({ status }) => status === 'running')?.until;
  const goal = rung ? `to epoch ${rung} ` : '';
  const eta = left === undefined ? '' : `, ${goal}ETA ${formatDuration(left)}`;
  const running = rows.filter(({ status }) => status === 'running');
  return [
    `sweep ${plan.name}: ${counts.join(', ')}${eta}`,
    ...bestRows(rows).map(bestAsText),
    ...(running.length ? trialTable(running).split('\n') : []),
  ];
}

/** A sweep that has ended, for people: all trials, each dataset's best first. */
export function sweepAsText({ rows, folder }: Sweep): string {
  const byScore = groupBy(rows, ({ trial }) => trial.dataset).flatMap((rivals) =>
    rivals.toSorted((a, b) => (b.state.best ?? -1) - (a.state.best ?? -1)),
  );
  const failed = rows.filter(({ status }) => status === 'failed');
  return [
    trialTable(byScore),
    '',
    ...failed.map(({ trial, error }) => `failed: ${settingsAsText(trial.settings)}: ${error}`),
    ...bestRows(rows).map((row) => `${bestAsText(row)}: ${join(folder, row.trial.run)}`),
  ].join('\n');
}

function bestAsText({ trial, state }: TrialRow): string {
  const dataset = basename(trial.dataset);
  return `best on ${dataset}: ${trial.metric} ${state.best!.toFixed(4)} (${settingsAsText(trial.settings)})`;
}

/** Trials as a table: what distinguishes them, and where they stand. */
function trialTable(rows: readonly TrialRow[]): string {
  const keys = [...new Set(rows.flatMap(({ trial }) => Object.keys(trial.settings)))];
  const metrics = [...new Set(rows.map(({ trial }) => trial.metric).filter(Boolean))].join(', ');
  return table(
    ['trial', ...keys.map(lastPart), 'epochs', `valid ${metrics}`, `test ${metrics}`, 'state'],
    rows.map(({ trial, state, status, stop }) => [
      trial.id,
      ...keys.map((key) => cell(trial.settings[key])),
      String(state.epochs),
      state.best?.toFixed(4) ?? '',
      state.result?.test?.[trial.metric]?.toFixed(4) ?? '',
      stop ? `${status}: ${stop}` : status,
    ]),
  );
}

const lastPart = (key: string) => key.slice(key.lastIndexOf('.') + 1);

const cell = (value: unknown) =>
  value === undefined ? '' : typeof value === 'string' ? value : JSON.stringify(value);
