/** One measured row: what was measured, the figures, and the peer's. */
export interface BenchRow {
  [column: string]: string | number;
}

export interface Bench {
  name: string;
  describe: string;
  run(options: string[]): Promise<BenchRow[]>;
}
