import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { Progress } from '../../common/progress.ts';
import { Graph } from '../../engine/graph.ts';
import { encodeOnnx } from '../../engine/onnx.ts';
import { createSession } from '../../engine/session.ts';
import { BLOCK_QUERIES, openScanner, TILE_ITEMS } from '../../search/dense/scan.ts';
import { openPlain } from '../../search/dense/vectors.ts';
import { startTurn } from './child.ts';

/**
 * Our exact search in a process of its own, in the manner of ../peers/search_faiss.py: argv is a JSON object with `items` and
 * `queries` (files of float32 rows), `rows`, `dims`, `k`, `threads`; a line of input asks for a search, or for the products
 * alone, of the same tiles in the same order.
 */
const o = JSON.parse(process.argv[2]) as Record<'items' | 'queries', string> &
  Record<'rows' | 'dims' | 'k' | 'threads', number>;
const { rows, dims, k, threads } = o;

const ready = startTurn();
const ort = await import('onnxruntime-node');
const vectors = openPlain(o.items, rows, dims);
const queries = new Float32Array(new Uint8Array(readFileSync(o.queries)).buffer);
const scanner = openScanner(vectors, threads);
const product = await createSession(productAlone(), true, { threads });
ready();

for await (const line of createInterface({ input: process.stdin })) {
  const { what } = JSON.parse(line) as { what: 'search' | 'product' };
  const done = startTurn();
  if (what === 'search') {
    const hits = await scanner.scan(queries, k, new Progress());
    const sum = hits.reduce((total, { scores }) => total + scores.reduce((a, b) => a + b, 0), 0);
    done({ meanScore: sum / (hits.length * k) });
  } else {
    await multiply();
    done();
  }
}

/** All products, of which nothing but a column leaves the graph. */
function productAlone(): Uint8Array {
  const graph = new Graph();
  graph.input('queries', { dtype: 'float32', shape: [BLOCK_QUERIES, dims] });
  graph.input('items', { dtype: 'float32', shape: [TILE_ITEMS, dims] });
  const scores = graph.emit('Gemm', ['queries', 'items'], { transB: 1 });
  const column = graph.emit('Slice', [scores, graph.ints([0]), graph.ints([1]), graph.ints([1])]);
  graph.output('column', { dtype: 'float32', shape: [BLOCK_QUERIES, 1] }, column);
  graph.finish();
  return encodeOnnx(graph);
}

async function multiply(): Promise<void> {
  const tile = new Float32Array(TILE_ITEMS * dims);
  const tensor = (data: Float32Array) => new ort.Tensor('float32', data, [data.length / dims, dims]);
  for (let first = 0; first + TILE_ITEMS <= rows; first += TILE_ITEMS) {
    vectors.read(first, tile);
    for (let at = 0; at + BLOCK_QUERIES * dims <= queries.length; at += BLOCK_QUERIES * dims)
      await product.run({
        items: tensor(tile),
        queries: tensor(queries.subarray(at, at + BLOCK_QUERIES * dims)),
      });
  }
}
