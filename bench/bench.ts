import { cpus } from 'node:os';

/** One measured row: what was measured, the figures, and the peer's. */
export interface BenchRow {
  [column: string]: string | number;
}

/** Rows of one kind, with what a reader must know about them. */
export interface BenchTable {
  title: string;
  rows: BenchRow[];
  notes?: string[];
}

export interface Bench {
  name: string;
  describe: string;
  run(options: string[]): Promise<BenchTable[]>;
}

export const mean = (values: readonly number[]): number =>
  values.reduce((sum, x) => sum + x, 0) / values.length;

/** Sample standard deviation, of two values or more. */
export function deviation(values: readonly number[]): number {
  const centre = mean(values);
  const squares = values.reduce((sum, x) => sum + (x - centre) ** 2, 0);
  return Math.sqrt(squares / (values.length - 1));
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

export const round = (x: number, digits: number): number => Number(x.toFixed(digits));

/** 'mean +- standard deviation' of fractions, to four decimals; the value alone where there is one. */
export const spread = (values: readonly number[]): string =>
  mean(values).toFixed(4) + (values.length > 1 ? ` +- ${deviation(values).toFixed(4)}` : '');

/** Milliseconds that all cores have been busy, and that they have been there for. */
function coreTimes(): { busy: number; all: number } {
  const times = cpus().map((core) => core.times);
  const all = times.reduce((sum, t) => sum + t.user + t.nice + t.sys + t.irq + t.idle, 0);
  return { busy: all - times.reduce((sum, t) => sum + t.idle, 0), all };
}

/**
 * Does `work`, whose result tells the CPU milliseconds that it took itself (in whichever process), and says which share of
 * the cores others used meanwhile: 0 on a quiet machine.
 */
export async function watched<T extends { cpuMs: number }>(
  work: () => Promise<T>,
): Promise<{ result: T; others: number }> {
  const before = coreTimes();
  const result = await work();
  const after = coreTimes();
  const foreign = after.busy - before.busy - result.cpuMs;
  return { result, others: Math.max(0, foreign / Math.max(1, after.all - before.all)) };
}
