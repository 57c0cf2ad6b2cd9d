import { mkdtemp, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { z } from 'zod';
import { Cancelled, UserError } from '../../common/errors.ts';
import { Progress, type ProgressEvent } from '../../common/progress.ts';
import {
  defineEncoder,
  type EncoderDefinition,
  embedTexts,
  encoders,
  openForQueries,
  writeFeature,
} from '../../encoders/index.ts';
import { Shards } from '../../encoders/shards.ts';

let folder: string;
test.before.each(async () => {
  folder = await mkdtemp(join(tmpdir(), 'embed-'));
  process.env.REC_CACHE = join(folder, 'cache');
});
test.after.each(async () => {
  delete process.env.REC_CACHE;
  await rm(folder, { recursive: true, force: true });
});

/** Vectors [length, first code unit, salt], and a record of what was asked for. */
function recorder(
  options: { salt?: number; rowsDependOn?: 'text' | 'corpus'; stopAfter?: number; bad?: string } = {},
) {
  const asked: string[] = [];
  const definition = defineEncoder({
    name: 'recorder',
    summary: 'for tests',
    config: z.strictObject({}),
    async open() {
      return {
        dims: 3,
        fingerprint: `recorder ${options.salt ?? 0}`,
        rowsDependOn: options.rowsDependOn ?? 'text',
        async embed(texts, onRows) {
          for (let first = 0; first < texts.length; first += 100) {
            const block = texts.slice(first, first + 100);
            if (options.stopAfter !== undefined && asked.length + block.length > options.stopAfter)
              throw new Cancelled();
            asked.push(...block);
            const rows = block.flatMap((t) => [
              t.length,
              t === options.bad ? Number.NaN : t.charCodeAt(0),
              options.salt ?? 0,
            ]);
            await onRows(first, Float32Array.from(rows));
          }
        },
        async close() {},
      };
    },
  }) as unknown as EncoderDefinition;
  return { asked, definition };
}

async function embed(
  entry: EncoderDefinition,
  texts: string[] | undefined,
  more: Record<string, unknown> = {},
) {
  const events: ProgressEvent[] = [];
  const progress = new Progress((event) => events.push(event));
  const job = { entry, name: entry.name, settings: {}, texts, rows: texts?.length ?? 0, ...more };
  const vectors = await embedTexts(job, { seed: 1, threads: 1, progress, ...more });
  const said = events.flatMap((e) => (e.kind === 'warning' || e.kind === 'note' ? [e.text] : [])).join('\n');
  return {
    vectors,
    said,
    row: (r: number) => [...vectors.values.subarray(r * vectors.dims, (r + 1) * vectors.dims)],
  };
}

async function failure(work: Promise<unknown>): Promise<string> {
  const error = await work.then(
    () => undefined,
    (e: Error) => e,
  );
  assert.instance(error, UserError);
  return error!.message;
}

const many = Array.from({ length: 1300 }, (_, i) => `${String.fromCharCode(97 + (i % 26))} text ${i}`);
const expected = (text: string) => [text.length, text.charCodeAt(0), 0];

test('rows come back in the order of the texts; identical texts are embedded once', async () => {
  const { asked, definition } = recorder();
  const texts = ['bb', 'a', 'bb', 'dddd', 'a', 'ccc'];
  const { row, vectors } = await embed(definition, texts);
  texts.forEach((text, i) => void assert.equal(row(i), expected(text)));
  assert.equal(asked, ['dddd', 'ccc', 'bb', 'a']);
  assert.is(vectors.rows, 6);
});

test('an item without text has a zero vector, and is counted', async () => {
  const { asked, definition } = recorder();
  const { row, said } = await embed(definition, ['a', '', '  \t', 'b']);
  assert.equal(row(1), [0, 0, 0]);
  assert.equal(row(2), [0, 0, 0]);
  assert.equal(row(3), expected('b'));
  assert.equal(asked, ['a', 'b']);
  assert.match(said, /2 of 4 items have no text/);
  assert.equal((await embed(definition, ['', ''])).row(1), [0, 0, 0]);
});

test('a second run reads everything from the cache; other weights or texts do not', async () => {
  const first = await embed(recorder().definition, many);
  const again = recorder();
  const second = await embed(again.definition, many);
  assert.equal(again.asked.length, 0);
  assert.equal(second.vectors, first.vectors);
  assert.equal(second.row(1234), expected(many[1234]));
  const other = recorder({ salt: 1 });
  assert.is.not((await embed(other.definition, many)).vectors.hash, first.vectors.hash);
  assert.is(other.asked.length, many.length);
  const changed = recorder();
  assert.is.not(
    (await embed(changed.definition, [...many.slice(1), 'new'])).vectors.hash,
    first.vectors.hash,
  );
  assert.is(changed.asked.length, many.length);
  const uncached = recorder();
  await embed(uncached.definition, many, { cache: false });
  assert.is(uncached.asked.length, many.length);
});

test('interrupted work goes on after the last finished shard', async () => {
  const stopped = recorder({ stopAfter: 1150 });
  await embed(stopped.definition, many).then(
    () => assert.unreachable(),
    (e) => assert.instance(e, Cancelled),
  );
  assert.is(stopped.asked.length, 1100);
  const resumed = recorder();
  const { row } = await embed(resumed.definition, many);
  assert.is(resumed.asked.length, 1300 - 1024);
  many.forEach((text, i) => void assert.equal(row(i), expected(text)));
});

async function shardPaths(): Promise<string[]> {
  const root = join(folder, 'cache', 'embeddings');
  const [job] = await readdir(root);
  return (await readdir(join(root, job)))
    .filter((f) => f.endsWith('.safetensors'))
    .sort()
    .map((f) => join(root, job, f));
}

test('a damaged or truncated shard is noticed and made anew, the others are used', async () => {
  await embed(recorder().definition, many);
  const [first, second] = await shardPaths();
  const bytes = await readFile(first);
  bytes[bytes.length - 2] ^= 1; // one bit of a value
  await writeFile(first, bytes);
  await truncate(second, 2000);
  const { asked, definition } = recorder();
  const { row, said } = await embed(definition, many);
  assert.is(asked.length, 1024);
  assert.match(said, /made anew.*000000.*hash/);
  assert.match(said, /made anew.*000001/);
  many.forEach((text, i) => void assert.equal(row(i), expected(text)));
  assert.is((await embed(recorder().definition, many)).said, '');
});

test('an encoder fitted to the corpus is given all of it even where one shard is missing', async () => {
  await embed(recorder({ rowsDependOn: 'corpus' }).definition, many);
  await rm((await shardPaths())[1]);
  const { asked, definition } = recorder({ rowsDependOn: 'corpus' });
  const { row } = await embed(definition, many);
  assert.is(asked.length, many.length);
  many.forEach((text, i) => void assert.equal(row(i), expected(text)));
});

test('a cache folder that cannot be written is a warning', async () => {
  await writeFile(join(folder, 'cache'), 'a file where a folder should be');
  const { row, said } = await embed(recorder().definition, ['a', 'b']);
  assert.equal(row(1), expected('b'));
  assert.match(said, /not kept for next time/);
});

test('a vector that is not finite names its text', async () => {
  const message = await failure(embed(recorder({ bad: 'poison' }).definition, ['fine', 'poison']));
  assert.match(message, /NaN in column 1 .*'poison'/);
});

/** An encoder [n, 2] that breaks its contract: what it hands over, as [first, values]. */
const careless = (handsOver: readonly [number, unknown][]) =>
  defineEncoder({
    name: 'careless',
    summary: 'for tests',
    config: z.strictObject({}),
    open: async () => ({
      dims: 2,
      fingerprint: 'careless',
      rowsDependOn: 'text',
      async embed(_, onRows) {
        for (const [first, values] of handsOver) await onRows(first, values as Float32Array);
      },
      async close() {},
    }),
  }) as unknown as EncoderDefinition;

const wrongRows: [string, [number, unknown][], RegExp][] = [
  ['none', [], /careless: embed\(\) handed over 0 rows for 2 texts/],
  ['too few', [[0, new Float32Array(2)]], /1 rows for 2 texts/],
  ['halves of rows', [[0, new Float32Array(3)]], /3 values, which are no rows of 2/],
  ['too many', [[0, new Float32Array(6)]], /more rows than the 2 texts/],
  ['not the next', [[1, new Float32Array(2)]], /rows from 1 on where row 0 was next/],
  ['one twice', [0, 0].map((first) => [first, new Float32Array(2)]), /rows from 0 on where row 1 was next/],
  ['a plain array', [[0, [1, 2, 3, 4]]], /something else than a Float32Array/],
];

test('rows that an encoder leaves out, or hands over wrongly, are refused: for items and for queries', async () => {
  for (const [what, handsOver, expected] of wrongRows) {
    const entry = careless(handsOver);
    assert.match(await failure(embed(entry, ['a', 'bb'])), expected, what);
    const progress = new Progress();
    const job = { entry, name: 'careless', settings: {}, rows: 2 };
    const queries = await openForQueries(job, { seed: 1, threads: 1, progress });
    assert.match(await failure(queries.embed(['a', 'bb'])), expected, what);
  }
});

test('rows after the last are refused by the cache, too', async () => {
  const manifest = { name: 'x', fingerprint: '', textsHash: '', rows: 2, dims: 2 };
  const keep = new Shards(manifest, true, new Progress()).writer(0);
  await keep(new Float32Array(4));
  const error = await keep(new Float32Array(2)).catch((reason: Error) => reason.message);
  assert.is(error, 'more than 2 rows');
});

test('texts are needed by encoders of texts', async () => {
  assert.match(
    await failure(embed(recorder().definition, undefined, { rows: 3 })),
    /the dataset has none.*file:PATH/,
  );
});

const file = encoders.get('file');

async function feature(values: number[]): Promise<string> {
  const path = join(folder, 'some.feature');
  await writeFile(path, new Uint8Array(Float32Array.from(values).buffer));
  return path;
}

test('a ready-made matrix is read as it lies, its width from the rows, the settings, or the dataset', async () => {
  const path = await feature([1, 2, 3, 4, 5, 6]);
  const texts = ['same', 'same', ''];
  assert.equal((await embed(file, texts, { settings: { path } })).row(2), [5, 6]);
  assert.equal((await embed(file, undefined, { rows: 2, settings: { path, dims: 3 } })).row(1), [4, 5, 6]);
  const beside = await embed(file, texts, { featureFile: { path, dims: 2 } });
  assert.equal(beside.row(1), [3, 4]);
  assert.is(beside.vectors.dims, 2);
  assert.not(await readdir(join(folder, 'cache')).catch(() => undefined));
});

test('a matrix of the wrong size is refused with both numbers', async () => {
  const path = await feature([1, 2, 3, 4, 5, 6]);
  const fails = (rows: number, settings: object) =>
    failure(embed(file, undefined, { rows, settings: { path, ...settings } }));
  assert.match(await fails(4, { dims: 3 }), /2 rows of 3 values.*4 items/);
  assert.match(await fails(3, { dims: 3 }), /2 rows.*3 items; encoder.dims 2 would fit/);
  assert.match(await fails(4, {}), /24 bytes are not 4 rows/);
  assert.match(await fails(3, { dims: 5 }), /24 bytes are not a whole number of rows of 5/);
  assert.match(await fails(3, { path: join(folder, 'absent') }), /absent: does not exist/);
  assert.match(await fails(3, { path: folder }), /not a file|is a folder/);
  assert.match(await failure(embed(file, ['a'])), /which file\?/);
});

test('NaN and infinity in a matrix are named by row and column', async () => {
  assert.match(
    await failure(
      embed(file, undefined, { rows: 3, settings: { path: await feature([1, 2, 3, Number.NaN, 5, 6]) } }),
    ),
    /row 1, column 1 .*NaN/,
  );
  assert.match(
    await failure(
      embed(file, undefined, {
        rows: 2,
        settings: { path: await feature([1, 2, 3, 4, Number.NEGATIVE_INFINITY, 6]) },
      }),
    ),
    /row 1, column 1 .*-Infinity/,
  );
});

test('vectors written as a .feature file are read back', async () => {
  const { vectors } = await embed(recorder().definition, ['a', 'bb']);
  const path = join(folder, 'out', 'written.feature');
  await writeFeature(path, vectors);
  assert.equal(
    (await embed(file, undefined, { rows: 2, settings: { path } })).vectors.values,
    vectors.values,
  );
});

test('an unknown family is an error with the nearest name', () => {
  assert.throws(() => encoders.get('lsi'), /unknown encoder 'lsi'.*did you mean 'lsa'/);
});

test.run();
