import { execFileSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { UserError } from '../../common/errors.ts';
import { Progress } from '../../common/progress.ts';
import { seeded } from '../../common/random.ts';
import { encoders } from '../../encoders/index.ts';
import type { Device } from '../../engine/index.ts';
import { Dense, type DenseSettings, denseSettings } from '../../search/dense/dense.ts';
import { codecs } from '../../search/dense/storage.ts';
import { normalise } from '../../search/dense/vectors.ts';
import type { SearchTask } from '../../search/task.ts';
import { skipped } from '../skip.ts';
import { load, testFolder, writeFolder } from './task-files.ts';

const dims = 16;
const items = 1500;
const test = suite<{ folder: string; task: SearchTask; vectors: Float32Array; queries: Float32Array }>(
  'dense',
);

test.before(async (context) => {
  context.folder = testFolder();
  const random = seeded('dense');
  const word = () => `w${Math.floor(400 ** random.uniform())}`;
  const text = (length: number) => Array.from({ length }, word).join(' ');
  const pool = Array.from({ length: items }, (_, i) => ({
    item_id: `B${i}`,
    metadata: i % 100 ? text(12) : '',
  }));
  const rows = Array.from({ length: 40 }, (_, q) => `${q},${q ? text(5) : ''},B${random.below(items)}`);
  const csv = `qid,query,item_id\n${rows.join('\n')}\n`;
  context.task = (await load(writeFolder(context.folder, 'task', { 'q.csv': csv, 'p.jsonl': pool }))).task;
  context.vectors = Float32Array.from({ length: items * dims }, () => 3 * random.normal());
  context.queries = Float32Array.from({ length: 40 * dims }, () => random.normal());
  writeFileSync(join(context.folder, 'items.feature'), new Uint8Array(context.vectors.buffer));
  writeFileSync(join(context.folder, 'queries.feature'), new Uint8Array(context.queries.buffer));
});
test.after(({ folder }) => rmSync(folder, { recursive: true }));

function open(
  task: SearchTask,
  encoder: string,
  config: object,
  settings: Partial<DenseSettings>,
  entry = encoders.get(encoder),
) {
  return Dense.open(
    task,
    {
      dense: { ...denseSettings.parse({}), ...settings },
      encoder: { entry, name: encoder, settings: entry.config.parse(config) },
      seed: 1,
      ...{ device: 'cpu', threads: 2, spinning: false },
    },
    new Progress(),
  );
}

function cosine(a: Float32Array, i: number, b: Float32Array, j: number): number {
  const [x, y] = [new Float32Array(dims), new Float32Array(dims)];
  normalise(a.subarray(i * dims, (i + 1) * dims), x);
  normalise(b.subarray(j * dims, (j + 1) * dims), y);
  return x.reduce((sum, value, d) => sum + value * y[d], 0);
}

for (const storage of ['f32', 'f16', 'int8'] as const) {
  test(`cosine over all items, stored as ${storage}`, async ({ folder, task, vectors, queries }) => {
    const config = { path: join(folder, 'items.feature'), dims };
    const dense = await open(task, 'file', config, { storage, queries: join(folder, 'queries.feature') });
    const hits = await dense.search(task.queries, 10, new Progress());
    assert.is(hits[0].items.length, 0, 'a query without text finds nothing');
    for (const [q, hit] of hits.entries()) {
      if (q === 0) continue;
      const scores = Array.from({ length: items }, (_, i) => cosine(queries, q, vectors, i));
      const best = [...scores].sort((a, b) => b - a);
      assert.is(hit.items.length, 10);
      hit.items.forEach((item, i) => {
        assert.ok(Math.abs(scores[item] - best[i]) < 1e-6, `query ${q}, rank ${i}`);
        assert.ok(Math.abs(hit.scores[i] - best[i]) < 1e-6);
      });
    }
    if (storage !== 'f32') {
      assert.is(dense.proven.queries, 39);
      assert.ok(dense.proven.exact >= 35, JSON.stringify(dense.proven));
    }
    await dense.close();
  });
}

test('texts are embedded on the device that was asked for', async ({ task }) => {
  const lsa = encoders.get('lsa');
  const devices: (Device | undefined)[] = [];
  const entry: typeof lsa = {
    ...lsa,
    open(config, context) {
      devices.push(context.device);
      return lsa.open(config, context);
    },
  };
  const dense = await open(task, 'lsa', { dims: 24 }, {}, entry);
  await dense.close();
  assert.equal([...new Set(devices.map((device) => `${device?.name}, ${device?.threads}`))], ['cpu, 2']);
});

test('approximate search by usearch tells its recall', async ({ folder, task, vectors, queries }) => {
  const there = await import('usearch' as string).then(
    () => true,
    () => false,
  );
  const config = { path: join(folder, 'items.feature'), dims };
  const opening = open(task, 'file', config, { search: 'usearch', queries: join(folder, 'queries.feature') });
  if (!there) {
    skipped('usearch is not installed (npm install usearch --ignore-scripts --no-save)');
    return rejects(opening, 'npm install usearch --ignore-scripts');
  }
  const dense = await opening;
  const hits = await dense.search(task.queries, 10, new Progress());
  const facts = dense.facts();
  assert.is(facts['measured on queries'], 39);
  let found = 0;
  for (const [q, hit] of hits.entries()) {
    if (q === 0) continue;
    const scores = Array.from({ length: items }, (_, i) => cosine(queries, q, vectors, i));
    const tenth = [...scores].sort((a, b) => b - a)[9];
    found += hit.items.filter((item) => scores[item] >= tenth - 1e-9).length;
    hit.items.forEach((item, i) => {
      assert.ok(Math.abs(hit.scores[i] - scores[item]) < 2e-3, 'scores are those of half precision');
    });
  }
  assert.ok(Math.abs(found / 390 - Number(facts['share of the exact lists that was found'])) < 1e-9);
  assert.ok(found / 390 > 0.8);
  return dense.close();
});

test('a query is embedded as an item of the same text; an item without text is found last', async ({
  task,
}) => {
  const dense = await open(task, 'lsa', { dims: 32 }, {});
  const text = task.pool.texts.at(7)!;
  const [hit, unknown] = await dense.search(
    [text, 'nothing of this'].map((text, i) => ({ id: `${i}`, text, relevant: [] })),
    items + 10,
    new Progress(),
  );
  assert.is(hit.items[0], 7);
  assert.ok(Math.abs(hit.scores[0] - 1) < 1e-5);
  assert.is(hit.items.length, items);
  assert.is(hit.scores[hit.items.indexOf(100)], 0);
  assert.is(unknown.items.length, 0, 'a query that the encoder knows no word of has a zero vector');
  await dense.close();
});

test('vectors of another encoder or pool are refused, and left alone', async ({ folder, task }) => {
  const index = join(folder, 'index');
  await (await open(task, 'lsa', { dims: 8 }, { index })).close();
  const before = readFileSync(join(index, 'vectors.f32'));
  await (await open(task, 'lsa', { dims: 8 }, { index })).close();
  await rejects(open(task, 'lsa', { dims: 9 }, { index }), 'their vectors cannot be compared');
  const other = { ...task, manifest: { ...task.manifest, hash: 'other' } };
  await rejects(open(other, 'lsa', { dims: 8 }, { index }), 'the vectors of another pool');
  assert.ok(before.equals(readFileSync(join(index, 'vectors.f32'))));
  truncateSync(join(index, 'vectors.f32'), 100);
  await rejects(open(task, 'lsa', { dims: 8 }, { index }), '100 bytes are not 1500 vectors');
  const taken = join(folder, 'taken');
  mkdirSync(taken);
  writeFileSync(join(taken, 'letter.txt'), 'mine');
  await rejects(open(task, 'lsa', { dims: 8 }, { index: taken }), 'not empty');
  assert.ok(existsSync(join(taken, 'letter.txt')));
});

test('compact vectors that find no room are a failure; nothing of them stays, nothing stays open', async ({
  folder,
  task,
}) => {
  const index = join(folder, 'full');
  await (await open(task, 'lsa', { dims: 8 }, { index })).close();
  // The system writes what is below the limit, and refuses only the next write.
  const limit = (bytes: string) => execFileSync('prlimit', [`--pid=${process.pid}`, `--fsize=${bytes}:`]);
  try {
    limit('10000');
  } catch {
    return skipped('limits of file sizes need the command prlimit');
  }
  let opened = 0;
  const lsa = encoders.get('lsa');
  const entry: typeof lsa = {
    ...lsa,
    async open(config, context) {
      const encoder = await lsa.open(config, context);
      opened++;
      return {
        ...encoder,
        async close() {
          opened--;
          await encoder.close();
        },
      };
    },
  };
  await open(task, 'lsa', { dims: 8 }, { index, storage: 'f16' }, entry)
    .then(
      () => assert.unreachable('it did not fail'),
      (error) => assert.is(error.code, 'EFBIG'),
    )
    .finally(() => limit('unlimited'));
  assert.equal(readdirSync(index).sort(), ['index.json', 'vectors.f32']);
  assert.is(opened, 0);
  const files = readdirSync('/proc/self/fd').map((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`);
    } catch {
      return '';
    }
  });
  assert.equal(
    files.filter((path) => path.startsWith(index)),
    [],
  );
});

test('vectors that are no numbers, and matrices of the wrong size', async ({
  folder,
  task,
  vectors,
  queries,
}) => {
  const write = (name: string, values: Float32Array) => {
    writeFileSync(join(folder, name), new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
    return join(folder, name);
  };
  const bad = vectors.slice();
  bad[5 * dims + 3] = Number.NaN;
  await rejects(
    open(task, 'file', { path: write('nan', bad), dims }, {}),
    'row 5, column 3 (both from 0) is NaN',
  );
  const config = { path: join(folder, 'items.feature'), dims };
  const infinite = queries.slice();
  infinite[2 * dims] = Number.POSITIVE_INFINITY;
  const asking = async (path: string) => {
    const dense = await open(task, 'file', config, { queries: path });
    return dense.search(task.queries, 10, new Progress()).finally(() => dense.close());
  };
  await rejects(asking(write('infinite', infinite)), 'row 2, column 0 (both from 0) is Infinity');
  await rejects(asking(write('short', queries.slice(0, -1))), 'are not 40 rows (one a query) of 16');
  const dense = await open(task, 'file', config, {});
  await rejects(dense.search(task.queries, 10, new Progress()), 'cannot embed a query');
  await dense.close();
});

test('half precision is read back as it was written', () => {
  const decode = (half: number) => {
    const out = new Float32Array(1);
    codecs.f16.decode(new Uint8Array(Uint16Array.of(half).buffer), 1, out);
    return out;
  };
  const written = new DataView(new ArrayBuffer(2));
  for (let half = 0; half < 0x7c00; half++)
    for (const signed of [half, half | 0x8000]) {
      codecs.f16.encode(decode(signed), written, 0);
      assert.is(written.getUint16(0, true), signed);
    }
});

async function rejects(promise: Promise<unknown>, message: string): Promise<void> {
  await promise.then(
    () => assert.unreachable('it did not fail'),
    (error) => {
      assert.instance(error, UserError, String(error.stack));
      assert.match(error.message, message);
    },
  );
}

test.run();
