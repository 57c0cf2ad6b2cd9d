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

/** Sample standard deviation; 0 for a single value. */
export function deviation(values: readonly number[]): number {
  const centre = mean(values);
  const squares = values.reduce((sum, x) => sum + (x - centre) ** 2, 0);
  return values.length > 1 ? Math.sqrt(squares / (values.length - 1)) : 0;
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

export const round = (x: number, digits: number): number => Number(x.toFixed(digits));

/** 'mean +- standard deviation' of fractions, to four decimals. */
export const spread = (values: readonly number[]): string =>
  `${mean(values).toFixed(4)} +- ${deviation(values).toFixed(4)}`;
