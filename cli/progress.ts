import { formatBytes } from '../common/bytes.ts';
import type { ProgressEvent } from '../common/progress.ts';
import { formatDuration, formatNumber, paint } from './style.ts';

type Row = Extract<ProgressEvent, { kind: 'epoch' }>['row'];

interface Task {
  name: string;
  unit: string;
  total?: number;
  done: number;
  /** What was done before it started. */
  before: number;
  started: number;
}

/** Plain lines (a log file, a pipe) come at most this often, in milliseconds. */
const plainInterval = 3000;

/**
 * Shows a job's progress on standard error. On a terminal: a bar that redraws itself, and a line per epoch above it.
 * Elsewhere: plain lines without control characters, an epoch each, progress at most every few seconds. Quiet:
 * warnings only.
 */
export class ProgressRenderer {
  readonly #stream: NodeJS.WriteStream;
  readonly #quiet: boolean;
  readonly #now: () => number;
  #task?: Task;
  #columns = '';
  #barShown = false;
  #lastPlain = Number.NEGATIVE_INFINITY;

  constructor(stream: NodeJS.WriteStream, quiet = false, now: () => number = () => performance.now()) {
    this.#stream = stream;
    this.#quiet = quiet;
    this.#now = now;
  }

  handle(event: ProgressEvent): void {
    if (event.kind === 'warning') this.#line(`${paint(this.#stream, 'yellow', 'warning')}: ${event.text}`);
    else if (!this.#quiet) this.#show(event);
  }

  #show(event: ProgressEvent): void {
    if (event.kind === 'begin') {
      const { task: name, unit, total, done = 0 } = event;
      this.#task = { name, unit, total, done, before: done, started: this.#now() };
      this.#showTask();
    } else if (event.kind === 'advance' && this.#task) {
      this.#task.done = event.done;
      this.#task.total = event.total ?? this.#task.total;
      this.#showTask();
    } else if (event.kind === 'end') {
      this.#task = undefined;
      this.#clearBar();
    } else if (event.kind === 'note') {
      this.#line(event.text);
    } else if (event.kind === 'epoch') {
      this.#printEpoch(event.row);
    }
  }

  /** Removes the bar. */
  close(): void {
    this.#task = undefined;
    this.#clearBar();
  }

  #showTask(): void {
    const text = describe(this.#task!, this.#now());
    if (this.#stream.isTTY) {
      this.#stream.write(`\r\x1b[K${text.slice(0, (this.#stream.columns || 80) - 1)}`);
      this.#barShown = true;
    } else if (this.#plainIsDue()) {
      this.#stream.write(`${text}\n`);
    }
  }

  #printEpoch(row: Row): void {
    const cells = Object.entries(row).map(([name, value]) => [name, formatCell(value)]);
    const widths = cells.map(([name]) => Math.max(name.length, 7));
    const columns = cells.map(([name], i) => name.padStart(widths[i])).join(' ');
    if (columns !== this.#columns) this.#line(paint(this.#stream, 'bold', columns));
    this.#columns = columns;
    this.#line(cells.map(([, cell], i) => cell.padStart(widths[i])).join(' '));
  }

  #plainIsDue(): boolean {
    const now = this.#now();
    if (now - this.#lastPlain < plainInterval) return false;
    this.#lastPlain = now;
    return true;
  }

  #line(text: string): void {
    this.#clearBar();
    this.#stream.write(`${text}\n`);
    if (this.#task && this.#stream.isTTY) this.#showTask();
  }

  #clearBar(): void {
    if (this.#barShown) this.#stream.write('\r\x1b[K');
    this.#barShown = false;
  }
}

/** 'encode  [#####-----]  50%  100/200 texts  33/s  ETA 0:03'. */
function describe(task: Task, now: number): string {
  const seconds = (now - task.started) / 1000;
  const rate = seconds > 0 ? (task.done - task.before) / seconds : 0;
  const inBytes = task.unit === 'bytes';
  const count = (value: number) => (inBytes ? formatBytes(value) : formatNumber(value));
  const unit = inBytes ? '' : ` ${task.unit}`;
  const parts = [task.name];
  if (task.total) {
    const part = Math.min(1, task.done / task.total);
    const filled = Math.round(part * 20);
    parts.push(`[${'#'.repeat(filled)}${'-'.repeat(20 - filled)}]`, `${Math.floor(part * 100)}%`.padStart(4));
    parts.push(`${count(task.done)}/${count(task.total)}${unit}`);
  } else if (task.done) {
    parts.push(`${count(task.done)}${unit}`);
  }
  if (rate > 0)
    parts.push(`${rate < 10 && !inBytes ? Number(rate.toPrecision(2)) : count(Math.round(rate))}/s`);
  if (rate > 0 && task.total) parts.push(`ETA ${formatDuration(Math.max(0, task.total - task.done) / rate)}`);
  return parts.join('  ');
}

function formatCell(value: number | string | boolean): string {
  if (typeof value === 'boolean') return value ? '*' : '';
  return typeof value === 'number' ? formatNumber(value) : value;
}
