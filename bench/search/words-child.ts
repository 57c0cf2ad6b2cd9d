import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';
import { Bm25, bm25Settings } from '../../search/bm25/bm25.ts';
import { PostingsBuilder } from '../../search/bm25/postings.ts';
import { startTurn } from './child.ts';

/**
 * Our BM25 in a process of its own, for its peak memory, in the manner of ../peers/search_bm25.py: argv is a JSON object with
 * `texts`, `queries`, `k`, `k1`, `b`; a line of input says how many queries a turn has.
 */
const o = JSON.parse(process.argv[2]) as Record<'texts' | 'queries', string> &
  Record<'k' | 'k1' | 'b', number>;
const lines = (path: string) => createInterface({ input: createReadStream(path) });

const indexed = startTurn();
const builder = new PostingsBuilder('words');
for await (const text of lines(o.texts)) builder.add(text);
const bm25 = new Bm25(builder.finish(), bm25Settings.parse({ k1: o.k1, b: o.b }));
const queries: string[] = [];
for await (const query of lines(o.queries)) queries.push(query);
indexed();

for await (const line of createInterface({ input: process.stdin })) {
  const { count } = JSON.parse(line) as { count: number };
  const searched = startTurn();
  const before = { ...bm25.work };
  let sum = 0;
  let found = 0;
  for (const query of queries.slice(0, count)) {
    const { scores } = bm25.search(query, o.k);
    sum += scores.reduce((a, b) => a + b, 0);
    found += scores.length;
  }
  const postings = bm25.work.postings - before.postings;
  searched({ meanScore: sum / found, postings, scored: bm25.work.scored - before.scored });
}
