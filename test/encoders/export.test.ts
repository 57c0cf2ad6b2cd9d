import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { UserError } from '../../common/errors.ts';
import { Progress } from '../../common/progress.ts';
import { embedTexts, encoders } from '../../encoders/index.ts';
import { loadTokenizer } from '../../encoders/tokenizer.ts';
import { runOnnx } from '../../engine/index.ts';
import { execHere } from '../cli/rec.ts';
import { pythonWith, runPython } from '../python.ts';
import { checkpoint } from './checkpoint.ts';

let folder: string;
test.before.each(async () => {
  folder = await mkdtemp(join(tmpdir(), 'export-'));
});
test.after.each(() => rm(folder, { recursive: true, force: true }));

const family = encoders.get('roberta');
const texts = ['ab', 'a b', 'abab abab', 'b', 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaa', 'b a'];

async function embed(model: string, more: Record<string, unknown> = {}) {
  const settings = family.config.parse({ model, ...more });
  const job = { entry: family, name: 'tiny', settings, texts, rows: texts.length, cache: false };
  const { values, dims } = await embedTexts(job, { seed: 1, threads: 1, progress: new Progress() });
  return texts.map((_, row) => [...values.subarray(row * dims, (row + 1) * dims)]);
}

async function exported(more: Record<string, unknown> = {}): Promise<{ source: string; out: string }> {
  const source = await checkpoint(join(folder, 'source'), { prefix: 'roberta.' });
  const out = join(folder, 'exported');
  const settings = family.config.parse({ model: source, ...more });
  const { files, agreement } = await family.export!(settings, out, new Progress());
  assert.ok(agreement > (more.precision === 'int8' ? 0.99 : 0.99999));
  assert.equal(
    files.map(({ file }) => file).sort(),
    (await readdir(out, { recursive: true, withFileTypes: true }))
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath ?? entry.path, entry.name).slice(out.length + 1))
      .sort(),
  );
  return { source, out };
}

function near(actual: number[][], expected: number[][], within: number): void {
  assert.is(actual.length, expected.length);
  expected.forEach((row, r) => {
    assert.is(actual[r].length, row.length);
    row.forEach(
      (x, i) => void assert.ok(Math.abs(actual[r][i] - x) <= within, `${r}, ${i}: ${actual[r][i]}, ${x}`),
    );
  });
}

/** The texts through model.onnx in one padded batch. */
async function byOnnx(out: string): Promise<number[][]> {
  const { encode } = await loadTokenizer(out);
  const rows = texts.map((text) => encode(text, 12));
  const shape = [texts.length, Math.max(...rows.map((ids) => ids.length))];
  const feed = (value: (ids: number[], i: number) => number) => ({
    shape,
    data: BigInt64Array.from(
      rows.flatMap((ids) => Array.from({ length: shape[1] }, (_, i) => BigInt(value(ids, i)))),
    ),
  });
  const { embedding } = await runOnnx(await readFile(join(out, 'model.onnx')), {
    input_ids: feed((ids, i) => ids[i] ?? 1),
    attention_mask: feed((ids, i) => Number(i < ids.length)),
  });
  return texts.map((_, row) => [...embedding.subarray(row * 8, (row + 1) * 8)]);
}

const kinds = [
  { pooling: 'cls', normalize: 'none' },
  { pooling: 'mean', normalize: 'l2' },
] as const;

for (const settings of kinds)
  test(`${settings.pooling}, ${settings.normalize}: what is exported is the encoder, here and in model.onnx`, async () => {
    const { source, out } = await exported(settings);
    const expected = await embed(source, settings);
    near(await embed(out, settings), expected, 0);
    near(await byOnnx(out), expected, 1e-5);
  });

test('transformers, sentence-transformers and onnxruntime load it and give the same vectors', async () => {
  const python = pythonWith('torch', 'transformers', 'sentence_transformers', 'onnxruntime');
  if (!python) return;
  const source = await checkpoint(join(folder, 'source'));
  const encoders = [
    ...kinds.map((settings) => ({ model: source, ...settings })),
    { model: 'rec/blair-mini', pooling: 'mean', normalize: 'l2' } as const,
  ];
  const folders = encoders.map((_, i) => join(folder, `exported ${i}`));
  for (const [i, settings] of encoders.entries())
    await family.export!(family.config.parse(settings), folders[i], new Progress());
  const script = fileURLToPath(new URL('./fixtures/exported.py', import.meta.url));
  const answer = runPython(python, script, folders, JSON.stringify({ texts }));
  const all = JSON.parse(answer) as Record<string, Record<string, number[][]>>;
  for (const [i, { model, ...settings }] of encoders.entries()) {
    const theirs = all[folders[i]];
    const { encode } = await loadTokenizer(folders[i]);
    const ids = texts.map((text) => encode(text, model === source ? 12 : 512));
    assert.equal(theirs.ids, ids);
    near(theirs.transformers, await embed(model), 1e-5);
    const expected = await embed(model, settings);
    near(theirs.sentence, expected, 1e-5);
    near(theirs.onnx, expected, 1e-5);
  }
});

test('in 8-bit integers, model.onnx is nearly the encoder', async () => {
  const { source, out } = await exported({ precision: 'int8' });
  const [exact, rough] = [await embed(source), await byOnnx(out)];
  exact.forEach((row, r) => {
    const dot = (a: number[], b: number[]) => a.reduce((sum, x, i) => sum + x * b[i], 0);
    assert.ok(dot(row, rough[r]) / Math.sqrt(dot(row, row) * dot(rough[r], rough[r])) > 0.99);
  });
  assert.not.equal(rough, exact);
});

test('rec encoders export: files said, nothing overwritten, what cannot be exported refused', async () => {
  const source = await checkpoint(join(folder, 'source'));
  const out = join(folder, 'out');
  const run = (encoder: string, to = out) =>
    execHere(['encoders', 'export', '--encoder', encoder, '--out', to, '--quiet']);
  const done = await run(`roberta:${source}`);
  assert.is(done.code, 0, done.stderr);
  assert.match(done.stdout, /model.safetensors .*\n/);
  assert.match(done.stdout, /model.onnx agrees with the weights: cosine/);
  const again = await run(`roberta:${source}`);
  assert.is(again.code, 2);
  assert.match(again.stderr, /out: is there already/);
  const none = await run('lsa', join(folder, 'none'));
  assert.is(none.code, 2);
  assert.match(none.stderr, /'lsa' has no weights that could be exported/);
  await mkdir(join(folder, 'broken'));
  await writeFile(join(folder, 'broken', 'config.json'), '{}');
  const broken = await run(`roberta:${join(folder, 'broken')}`, join(folder, 'never'));
  assert.is(broken.code, 1);
  assert.match(broken.stderr, /broken lacks model.safetensors/);
  assert.equal((await readdir(folder)).sort(), ['broken', 'out', 'source']);
});

test('an export that fails leaves nothing behind', async () => {
  const nan = await checkpoint(join(folder, 'nan'), {
    change: (tensors) => void tensors.get('embeddings.LayerNorm.weight')!.data.fill(Number.NaN as never),
  });
  const error = await family.export!(
    family.config.parse({ model: nan }),
    join(folder, 'out'),
    new Progress(),
  ).then(
    () => undefined,
    (e: Error) => e,
  );
  assert.instance(error, UserError);
  assert.match(error!.message, /model.onnx gives other vectors/);
  assert.equal(await readdir(folder), ['nan']);
});

test.run();
