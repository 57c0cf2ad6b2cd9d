import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { messageOf, UsageError } from '../../common/errors.ts';
import { replaceAtomically } from '../../common/files.ts';
import type { Progress } from '../../common/progress.ts';
import type { Hits } from '../top-k.ts';
import type { Scanner } from './scan.ts';
import type { Vectors } from './vectors.ts';

/** What we use of the package `usearch`, which is no dependency: users add it themselves. */
interface Usearch {
  Index: new (
    dims: number,
    metric: 'ip',
    quantization: 'f16',
    connectivity: number,
    expansionAdd: number,
    expansionSearch: number,
  ) => UsearchIndex;
}
interface UsearchIndex {
  add(keys: BigUint64Array, vectors: Float32Array, threads: number): void;
  search(
    queries: Float32Array,
    k: number,
    threads: number,
  ): { keys: BigUint64Array; distances: Float32Array; counts?: BigUint64Array };
  save(path: string): void;
  view(path: string): void;
}

/** The graph of HNSW (Malkov and Yashunin 2018): links of an item, and how widely building and searching look around. */
const CONNECTIVITY = 16;
const EXPANSION_ADD = 128;
/** Queries that are searched exactly, too. */
const SAMPLE = 200;

/**
 * Opens an HNSW index of the vectors in half precision, built where it is not there; it is memory-mapped.
 * @param exact measures the recall
 * @throws UsageError where usearch is not installed, or does not load here.
 */
export async function openApproximate(
  folder: string,
  vectors: Vectors,
  exact: Scanner,
  threads: number,
  progress: Progress,
): Promise<Scanner> {
  const { Index } = await loadUsearch();
  const { rows, dims } = vectors;
  const open = (expansion = 0) => new Index(dims, 'ip', 'f16', CONNECTIVITY, EXPANSION_ADD, expansion);
  const path = join(folder, 'vectors.usearch');
  if (!existsSync(path)) {
    const index = open();
    progress.begin('building the index', 'vectors', rows);
    const count = 1024;
    for (let first = 0; first < rows; first += count) {
      const block = new Float32Array(Math.min(count, rows - first) * dims);
      vectors.read(first, block);
      index.add(
        BigUint64Array.from({ length: block.length / dims }, (_, i) => BigInt(first + i)),
        block,
        threads,
      );
      progress.advance(first);
    }
    await replaceAtomically(path, async (temporary) => index.save(temporary));
    progress.end();
  }
  const indexes = new Map<number, UsearchIndex>();
  const searcherFor = (k: number) => {
    const known = indexes.get(k);
    if (known) return known;
    const index = open(2 * k);
    index.view(path);
    indexes.set(k, index);
    return index;
  };
  const scanner: Scanner = {
    async scan(queries, k, progress) {
      const wanted = Math.min(k, rows);
      progress.begin('searching', 'queries');
      const found = searchAll(searcherFor(wanted), queries, dims, wanted, threads);
      progress.end();
      if (!scanner.recall) {
        const step = Math.max(1, Math.ceil(found.length / SAMPLE));
        const sample = found.map((_, i) => i).filter((i) => i % step === 0);
        const asked = new Float32Array(sample.length * dims);
        sample.forEach((row, i) => {
          asked.set(queries.subarray(row * dims, (row + 1) * dims), i * dims);
        });
        const right = await exact.scan(asked, wanted, progress);
        const shares = sample.map((row, i) => shared(found[row], right[i]));
        scanner.recall = {
          queries: sample.length,
          share: shares.reduce((sum, share) => sum + share, 0) / shares.length,
        };
      }
      return found;
    },
    close: () => exact.close(),
  };
  return scanner;
}

async function loadUsearch(): Promise<Usearch> {
  // By a name that the compiler does not follow: the package need not be there.
  const name = 'usearch';
  try {
    return (await import(name)) as Usearch;
  } catch (error) {
    throw new UsageError(
      `dense.search=usearch needs the package usearch: npm install usearch --ignore-scripts (${messageOf(error).split('\n')[0]})`,
      { cause: error },
    );
  }
}

/** Distances are 1 - dot product. */
function searchAll(
  index: UsearchIndex,
  queries: Float32Array,
  dims: number,
  k: number,
  threads: number,
): Hits[] {
  const count = queries.length / dims;
  const { keys, distances, counts } = index.search(queries, k, threads);
  return Array.from({ length: count }, (_, row) => {
    const found = counts ? Number(counts[row]) : keys.length;
    return {
      items: Int32Array.from({ length: found }, (_, i) => Number(keys[row * k + i])),
      scores: Float64Array.from({ length: found }, (_, i) => 1 - distances[row * k + i]),
    };
  });
}

function shared(found: Hits, right: Hits): number {
  const exact = new Set(right.items);
  return found.items.filter((item) => exact.has(item)).length / exact.size;
}
