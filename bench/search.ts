import { closeSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { seeded } from '../common/random.ts';
import { stopWords } from '../search/bm25/stop-words.ts';
import { BLOCK_QUERIES, TILE_ITEMS } from '../search/dense/scan.ts';
import { normalise } from '../search/dense/vectors.ts';
import { type Bench, type BenchRow, type BenchTable, median, round } from './bench.ts';
import { AskedProcess, pythonHaving } from './peers/process.ts';
import type { Turn } from './search/child.ts';
import { amazonC4, ZipfTexts } from './search/corpus.ts';

const K = 100;
const DIMS = 768;
const TURNS = 3;
const parameters = { k: K, k1: 1.5, b: 0.75 };
const missing = (module: string) =>
  `${module} is not at hand: its row is left out. To have it: python3 -m venv V && V/bin/pip install ${module} && REC_PYTHON=V/bin/python npm run bench`;

export const search: Bench = {
  name: 'search',
  describe:
    'BM25 and dense search of a generated corpus (options: words, dense or both; texts; queries; queries that peers are asked)',
  async run([what = 'both', texts = `${amazonC4.texts}`, queries = `${amazonC4.queries}`, asked = '500']) {
    const folder = mkdtempSync(join(tmpdir(), 'rec-bench-search-'));
    const sizes = { texts: Number(texts), queries: Number(queries), asked: Number(asked) };
    try {
      const tables: BenchTable[] = [];
      if (what !== 'dense') tables.push(await measureWords(folder, sizes));
      if (what !== 'words') tables.push(await measureDense(folder, sizes));
      return tables;
    } finally {
      rmSync(folder, { recursive: true });
    }
  },
};

interface Sizes {
  texts: number;
  queries: number;
  /** Of the queries, those that libraries are asked beside us. */
  asked: number;
}

/** A process to measure, whose first line tells that it is ready. */
interface Measured {
  name: string;
  process: AskedProcess;
  command: object;
  turns: Turn[];
}

const child = (file: string, spec: object) =>
  new AskedProcess(process.execPath, [
    '--import',
    'tsx',
    fileURLToPath(new URL(`./search/${file}`, import.meta.url)),
    JSON.stringify(spec),
  ]);
const peer = (python: string, file: string, spec: object) =>
  new AskedProcess(python, [
    fileURLToPath(new URL(`./peers/${file}`, import.meta.url)),
    JSON.stringify(spec),
  ]);

/** Asks all processes in turns. */
async function inTurns(processes: readonly Measured[], turns: number): Promise<void> {
  for (let turn = 0; turn < turns; turn++)
    for (const { process, command, turns } of processes) turns.push(await process.ask<Turn>(command));
}

async function measureWords(folder: string, { texts, queries, asked }: Sizes): Promise<BenchTable> {
  const corpus = new ZipfTexts();
  const files = { texts: join(folder, 'texts'), queries: join(folder, 'queries') };
  console.error(`generating ${texts} texts`);
  corpus.write(files.texts, 'texts', texts, amazonC4.textLength);
  corpus.write(files.queries, 'queries', queries, amazonC4.queryLength);
  const spec = { ...files, ...parameters, count: asked, stop: [...stopWords] };
  const python = { bm25s: pythonHaving('bm25s'), 'rank-bm25': pythonHaving('rank_bm25') };
  const rows: BenchRow[] = [];
  const processes: Measured[] = [];
  const add = async (name: string, process: AskedProcess, command: object) => {
    const ready = await process.next<Turn>();
    rows.push({
      library: name,
      'index s': round(ready.seconds, 1),
      'index cpu s': round(ready.cpuSeconds, 1),
      'index MB': round(ready.rssMb, 0),
    });
    console.error(rows.at(-1));
    processes.push({ name, process, command, turns: [] });
  };
  await add('ours', child('words-child.ts', spec), { count: asked });
  if (python.bm25s)
    await add('bm25s', peer(python.bm25s, 'search_bm25.py', { ...spec, library: 'bm25s' }), {});
  await inTurns(processes, TURNS);
  const all = await processes[0].process.ask<Turn & { postings: number; scored: number }>({ count: queries });
  for (const { process } of processes) await process.close();
  const perQuery = (turns: readonly Turn[], count: number) => ({
    'ms/query': round((1000 * median(turns.map(({ seconds }) => seconds))) / count, 2),
    'cpu ms/query': round((1000 * median(turns.map(({ cpuSeconds }) => cpuSeconds))) / count, 2),
    'peak MB': round(Math.max(...turns.map(({ rssMb }) => rssMb)), 0),
  });
  processes.forEach(({ turns }, i) => {
    Object.assign(rows[i], perQuery(turns, asked));
  });
  if (python['rank-bm25']) {
    // A query costs it seconds, and its index a multiple of ours.
    const sample = { texts: Math.min(texts, 100_000), queries: 3 };
    const head = join(folder, 'head');
    corpus.write(head, 'texts', sample.texts, amazonC4.textLength);
    const process = peer(python['rank-bm25'], 'search_bm25.py', {
      ...spec,
      texts: head,
      count: sample.queries,
      library: 'rank_bm25',
    });
    await add(`rank-bm25, ${sample.texts} texts, ${sample.queries} queries`, process, {});
    Object.assign(rows.at(-1)!, perQuery([await process.ask<Turn>({})], sample.queries));
    await process.close();
  }
  const skipped = 1 - all.scored / all.postings;
  const notes = [
    `all ${queries} queries, top ${K}: ${round(all.seconds, 1)} s (cpu ${round(all.cpuSeconds, 1)} s); of ${all.postings} postings of their terms ${round(100 * skipped, 1)}% were skipped`,
    'all on one thread; cpu: user and system time of the process, which tells more than the clock where others use the cores',
    ...Object.entries(python).flatMap(([module, found]) => (found ? [] : [missing(module)])),
  ];
  return { title: `BM25: ${texts} texts, ${asked} queries in ${TURNS} turns`, rows, notes };
}

async function measureDense(folder: string, { texts, queries }: Sizes): Promise<BenchTable> {
  const threads = availableParallelism();
  // Whole tiles and blocks, so that the products alone are the same ones.
  const whole = (n: number, of: number) => Math.max(1, Math.floor(n / of)) * of;
  const rows = whole(texts, TILE_ITEMS);
  const count = whole(queries, BLOCK_QUERIES);
  const files = { items: join(folder, 'items.f32'), queries: join(folder, 'queries.f32') };
  console.error(`generating ${rows} vectors`);
  writeRows(files.items, rows);
  writeRows(files.queries, count);
  const spec = { ...files, rows, dims: DIMS, k: K, threads };
  const ours = child('dense-child.ts', spec);
  await ours.next();
  const measured: Measured[] = [
    { name: 'products alone', process: ours, command: { what: 'product' }, turns: [] },
    { name: 'ours', process: ours, command: { what: 'search' }, turns: [] },
  ];
  const python = pythonHaving('faiss');
  if (python) {
    const process = peer(python, 'search_faiss.py', spec);
    await process.next();
    measured.push({ name: 'faiss IndexFlatIP', process, command: {}, turns: [] });
  }
  await inTurns(measured, TURNS);
  for (const { process } of measured) await process.close();
  const seconds = (turns: readonly Turn[], key: 'seconds' | 'cpuSeconds') =>
    median(turns.map((turn) => turn[key]));
  const limit = seconds(measured[0].turns, 'seconds');
  const table = measured.map(
    ({ name, turns }): BenchRow => ({
      search: name,
      s: round(seconds(turns, 'seconds'), 1),
      'cpu s': round(seconds(turns, 'cpuSeconds'), 1),
      'times products alone': round(seconds(turns, 'seconds') / limit, 2),
      'GFLOP/s': round((2 * rows * count * DIMS) / seconds(turns, 'seconds') / 1e9, 0),
      'peak MB': round(Math.max(...turns.map(({ rssMb }) => rssMb)), 0),
    }),
  );
  const notes = [
    `vectors: ${round((rows * DIMS * 4) / 2 ** 20, 0)} MB, which ours reads from disk tile by tile and faiss holds`,
    ...(python ? [] : [missing('faiss-cpu')]),
  ];
  return {
    title: `dense: ${rows} vectors of ${DIMS}, ${count} queries, top ${K}, ${threads} threads, median of ${TURNS} turns`,
    rows: table,
    notes,
  };
}

/** Random rows of length 1. */
function writeRows(path: string, rows: number): void {
  const random = seeded('bench vectors', path.split('/').at(-1)!);
  const file = openSync(path, 'w');
  const row = new Float32Array(DIMS);
  const block = new Float32Array(1024 * DIMS);
  for (let first = 0; first < rows; first += 1024) {
    const count = Math.min(1024, rows - first);
    for (let i = 0; i < count; i++) {
      for (let d = 0; d < DIMS; d++) row[d] = random.uniform() - 0.5;
      normalise(row, block.subarray(i * DIMS, (i + 1) * DIMS));
    }
    writeSync(file, block, 0, count * DIMS * 4);
  }
  closeSync(file);
}
