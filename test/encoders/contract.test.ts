import { copyFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { cacheFolder } from '../../common/files.ts';
import { Progress } from '../../common/progress.ts';
import { chooseEncoder, listEncoders, projectCatalogue } from '../../configs/catalogue.ts';
import { type EncoderDefinition, embedTexts } from '../../encoders/index.ts';
import { pythonWith, runPython } from '../python.ts';
import { checkpoint } from './checkpoint.ts';

// What every encoder that `rec encoders` lists must do, on random weights of its architecture (narrow, but as deep).

const fixtures = fileURLToPath(new URL('./fixtures', import.meta.url));
const catalogue = await projectCatalogue();
const listed = listEncoders(catalogue);
const texts = ['ab', 'a b', 'abababab abab', 'b', '', 'ab', 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa', 'b a'];
const ids = [
  [0, 6, 2],
  [0, 4, 7, 5, 2],
  [0, 5, 6, 6, 7, 6, 6, 5, 2],
];
const idsAsTexts = ['ab', 'a b', 'babab ababb'];

let folder: string;
let absent: Checkpoint[];
const environment = { ...process.env };
test.before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'encoders-'));
  process.env.REC_CACHE = join(folder, 'cache');
  process.env.HF_HOME = join(folder, 'hf');
  delete process.env.HF_HUB_CACHE;
  absent = await checkpoints();
  for (const { model, large } of absent)
    await checkpoint(cacheFolder('weights', ...model.split('/')), {
      prefix: model.startsWith('FacebookAI/') ? 'roberta.' : '',
      model: large
        ? { num_hidden_layers: 24, num_attention_heads: 16, hidden_size: 32, intermediate_size: 128 }
        : { num_hidden_layers: 12, num_attention_heads: 12, hidden_size: 24, intermediate_size: 96 },
    });
  await checkpoint(join(folder, 'own'));
  await writeFile(join(folder, 'ready.feature'), new Uint8Array(4 * 3 * texts.length));
});
test.after(async () => {
  process.env = { ...environment };
  await rm(folder, { recursive: true, force: true });
});

interface Checkpoint {
  name: string;
  /** Repository on the hub. */
  model: string;
  large: boolean;
}

/** Encoders whose weights do not come with the project. */
async function checkpoints(): Promise<Checkpoint[]> {
  const found: Checkpoint[] = [];
  for (const { name } of listed) {
    const { entry, settings } = settingsOf(name);
    if (typeof settings.model !== 'string') continue;
    const status = await entry.weights!(entry.config.parse(settings));
    if (!status.atHand) found.push({ name, model: settings.model, large: name.endsWith('-large') });
  }
  return found;
}

function settingsOf(text: string): { entry: EncoderDefinition; settings: Record<string, unknown> } {
  const { entry, defaults } = chooseEncoder(catalogue, text, 'a test');
  const settings = Object.assign({}, ...defaults.map(({ values }) => values.encoder));
  return { entry, settings };
}

async function embed(text: string, these: readonly string[]) {
  const { entry, settings } = settingsOf(text);
  const job = { entry, name: text, settings: entry.config.parse(settings), texts: these, rows: these.length };
  const vectors = await embedTexts(
    { ...job, cache: false },
    { seed: 1, threads: 1, progress: new Progress() },
  );
  return {
    ...vectors,
    row: (i: number) => vectors.values.subarray(i * vectors.dims, (i + 1) * vectors.dims),
  };
}

/** What is written after an encoder's name, where it wants something there. */
const argumentOf = (name: string, argument?: string) =>
  argument ? `${name}:${join(folder, argument === 'path' ? 'ready.feature' : 'own')}` : name;

function near(actual: ArrayLike<number>, expected: ArrayLike<number>, within: number): void {
  assert.is(actual.length, expected.length);
  for (let i = 0; i < expected.length; i++)
    assert.ok(Math.abs(actual[i] - expected[i]) <= within, `[${i}]: ${actual[i]} is not ${expected[i]}`);
}

test('every encoder of the paper has a name', () => {
  const names = listed.map(({ name }) => name);
  for (const family of ['roberta', 'simcse', 'blair'])
    for (const size of ['base', 'large']) assert.ok(names.includes(`${family}-${size}`), `${family}-${size}`);
});

for (const { name, argument } of listed)
  test(`${name}: finite rows of its width, the same twice, and what they depend on is as it says`, async () => {
    const text = argumentOf(name, argument);
    const first = await embed(text, texts);
    assert.is(first.values.length, texts.length * first.dims);
    assert.ok(first.values.every(Number.isFinite));
    const again = await embed(text, texts);
    assert.equal(again.values, first.values);
    assert.is(again.hash, first.hash);
    if (first.rowsDependOn === 'position') return;
    assert.equal(first.row(5), first.row(0));
    assert.ok(first.row(4).every((x) => x === 0));
    if (first.rowsDependOn === 'corpus') return;
    assert.not.equal(first.row(1), first.row(0));
    const reversed = await embed(text, [...texts].reverse());
    for (const i of texts.keys()) near(reversed.row(texts.length - 1 - i), first.row(i), 1e-5);
    near((await embed(text, texts.slice(2, 3))).row(0), first.row(2), 1e-5);
  });

test('a checkpoint that is pickled only, as SimCSE has them, gives the vectors of transformers', async () => {
  const expected = JSON.parse(await readFile(join(fixtures, 'pickled', 'expected.json'), 'utf8'));
  for (const name of ['simcse-base', 'simcse-large']) {
    const { model } = settingsOf(name).settings as { model: string };
    const place = cacheFolder('weights', ...model.split('/'));
    await rm(join(place, 'model.safetensors'), { force: true });
    for (const file of ['config.json', 'pytorch_model.bin'])
      await copyFile(join(fixtures, 'pickled', file), join(place, file));
    const { row } = await embed(name, ['ab', 'a b', 'abababab abab']);
    expected.vectors.forEach((vector: number[], i: number) => void near(row(i), vector, 1e-5));
  }
});

test('vectors of every architecture equal those of transformers', async () => {
  const python = pythonWith('torch', 'transformers');
  if (!python) return;
  const places = absent.map(({ name, model }) => ({
    name,
    place: cacheFolder('weights', ...model.split('/')),
  }));
  const answer = runPython(
    python,
    join(fixtures, 'reference.py'),
    ['encode', ...places.map(({ place }) => place)],
    JSON.stringify({ ids }),
  );
  const expected = JSON.parse(answer) as Record<string, number[][]>;
  for (const { name, place } of places) {
    const { row } = await embed(name, idsAsTexts);
    expected[place].forEach((vector, i) => void near(row(i), vector, 2e-5));
  }
});

test.run();
