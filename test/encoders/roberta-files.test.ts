import { copyFile, mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { UserError } from '../../common/errors.ts';
import { Progress } from '../../common/progress.ts';
import { seeded } from '../../common/random.ts';
import type { Tensor } from '../../common/safetensors.ts';
import { embedTexts, encoders } from '../../encoders/index.ts';
import { locateCheckpoint, readRobertaConfig, readRobertaWeights } from '../../encoders/roberta-files.ts';
import { robertaShapes } from '../../encoders/roberta-model.ts';
import { checkpoint, type Twist } from './checkpoint.ts';

let folder: string;
const environment = { ...process.env };
test.before.each(async () => {
  folder = await mkdtemp(join(tmpdir(), 'roberta-'));
  process.env.REC_CACHE = join(folder, 'cache');
  process.env.HF_HOME = join(folder, 'hf');
  delete process.env.HF_HUB_CACHE;
});
test.after.each(async () => {
  process.env = { ...environment };
  await rm(folder, { recursive: true, force: true });
});

const family = encoders.get('roberta');
const texts = ['ab', 'a b', 'abababab abab', 'b', '', 'ab', 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa'];

async function embed(model: string, more: Record<string, unknown> = {}) {
  const job = {
    entry: family,
    name: 'tiny',
    settings: family.config.parse({ model, ...more }),
    texts,
    rows: texts.length,
  };
  return embedTexts({ ...job, cache: false }, { seed: 1, threads: 1, progress: new Progress() });
}

async function failure(work: Promise<unknown>): Promise<string> {
  const error = await work.then(
    () => undefined,
    (e: Error) => e,
  );
  assert.instance(error, UserError);
  return error!.message;
}

function near(a: Float32Array, b: Float32Array, within: number): void {
  assert.is(a.length, b.length);
  for (let i = 0; i < a.length; i++)
    assert.ok(Math.abs(a[i] - b[i]) <= within, `[${i}] ${a[i]} is not ${b[i]}`);
}

test('texts are embedded from a folder, in their order, whatever the batches', async () => {
  const path = await checkpoint(join(folder, 'model'));
  const all = await embed(path);
  assert.is(all.dims, 8);
  const row = (i: number) => all.values.subarray(i * 8, (i + 1) * 8);
  assert.equal(row(0), row(5));
  assert.ok(row(4).every((x) => x === 0));
  assert.not.equal(row(0), row(1));
  near((await embed(path, { batchTokens: 1 })).values, all.values, 1e-6);
  // 12 positions remain for tokens: longer texts are cut, and cutting shorter still changes the vector.
  assert.not.equal((await embed(path, { maxTokens: 4 })).values, all.values);
  const unit = (await embed(path, { normalize: 'l2' })).values.subarray(0, 8);
  assert.ok(Math.abs(Math.hypot(...unit) - 1) < 1e-6);
});

test('many texts, tokenized by a thread: each row is its text, and work taken up again gives the same bits', async () => {
  const path = await checkpoint(join(folder, 'model'));
  const random = seeded('many texts');
  const words = new Set<string>();
  while (words.size < 1100)
    words.add(
      Array.from({ length: 3 + random.below(9) }, () => 'ab '[random.below(3)])
        .join('')
        .trim() || 'a',
    );
  const many = [...words];
  const job = { entry: family, name: 'tiny', texts: many, rows: many.length };
  for (const precision of ['f32', 'int8']) {
    const settings = family.config.parse({ model: path, precision });
    const make = () => embedTexts({ ...job, settings }, { seed: 1, threads: 1, progress: new Progress() });
    const { values } = await make();
    const shards = join(folder, 'cache', 'embeddings');
    for (const work of await readdir(shards)) await rm(join(shards, work, '000001.safetensors'));
    assert.equal((await make()).values, values);
    if (precision === 'int8') continue;
    for (const i of [0, 400, 1099]) {
      const alone = { ...job, settings, texts: [many[i]], rows: 1, cache: false };
      const one = await embedTexts(alone, { seed: 1, threads: 1, progress: new Progress() });
      near(one.values, values.subarray(i * 8, (i + 1) * 8), 1e-5);
    }
  }
});

test("tensors with the prefix 'roberta.' and in half precision are read", async () => {
  const plain = await embed(await checkpoint(join(folder, 'plain')));
  const prefixed = await embed(await checkpoint(join(folder, 'prefixed'), { prefix: 'roberta.' }));
  near(prefixed.values, plain.values, 0);
  const brain = (tensors: Map<string, Tensor>) => {
    for (const [name, { shape, data }] of tensors) {
      const bits = new Uint32Array((data as Float32Array).slice().buffer);
      tensors.set(name, { dtype: 'BF16', shape, data: Uint16Array.from(bits, (x) => (x + 0x8000) >>> 16) });
    }
  };
  const halved = await embed(await checkpoint(join(folder, 'half'), { change: brain }));
  near(halved.values, plain.values, 0.1);
  assert.not.equal(halved.values, plain.values);
});

test('settings and weights are in the fingerprint', async () => {
  const open = async (path: string, more = {}) => {
    const context = { seed: 1, threads: 1, progress: new Progress() };
    return (await family.open(family.config.parse({ model: path, ...more }), context)).fingerprint;
  };
  const path = await checkpoint(join(folder, 'model'));
  const first = await open(path);
  assert.is(await open(path, { batchTokens: 64 }), first);
  const copy = await checkpoint(join(folder, 'copy'));
  assert.is(await open(copy), first);
  for (const more of [{ pooling: 'mean' }, { normalize: 'l2' }, { maxTokens: 5 }])
    assert.is.not(await open(path, more), first);
  await checkpoint(copy, { change: (tensors) => (tensors.get('embeddings.LayerNorm.bias')!.data[0] = 9) });
  assert.is.not(await open(copy), first);
});

test('a checkpoint is found in the hub cache and in the folder for weights', async () => {
  const repository = join(folder, 'hf', 'hub', 'models--org--name');
  const snapshot = await checkpoint(join(repository, 'snapshots', 'abc123'));
  await mkdir(join(repository, 'refs'));
  await writeFile(join(repository, 'refs', 'main'), 'abc123\n');
  assert.equal(await locateCheckpoint('org/name', 'main'), { folder: snapshot });
  assert.equal(await locateCheckpoint('org/name', 'abc123'), { folder: snapshot });
  const status = await family.weights!(family.config.parse({ model: 'org/name' }));
  assert.equal(status, { atHand: true, where: snapshot });
  const own = await checkpoint(join(folder, 'cache', 'weights', 'org', 'name'));
  assert.equal(await locateCheckpoint('org/name', 'main'), { folder: own });
});

test('weights that are not at hand: what to get, and where to put it', async () => {
  const message = await failure(embed('hyp1231/blair-roberta-base'));
  assert.match(message, /weights of hyp1231\/blair-roberta-base are not at hand/);
  assert.match(
    message,
    /config.json, model.safetensors \(or pytorch_model.bin\) and tokenizer.json \(or vocab.json and merges.txt\)/,
  );
  assert.match(message, 'https://huggingface.co/hyp1231/blair-roberta-base/tree/main');
  assert.match(message, join(folder, 'cache', 'weights', 'hyp1231', 'blair-roberta-base'));
  assert.match(message, join(folder, 'hf', 'hub'));
  assert.is(
    (await family.weights!(family.config.parse({ model: 'hyp1231/blair-roberta-base' }))).atHand,
    false,
  );
  assert.match(await failure(embed(join(folder, 'nowhere'))), /nowhere: no such folder/);
});

test('an incomplete folder: what it lacks', async () => {
  const path = await checkpoint(join(folder, 'model'));
  await rm(join(path, 'model.safetensors'));
  await rm(join(path, 'merges.txt'));
  assert.match(
    await failure(embed(path)),
    /lacks model.safetensors or pytorch_model.bin, tokenizer.json or vocab.json and merges.txt/,
  );
  await writeFile(join(path, 'pytorch_model.bin'), '');
  assert.match(await failure(embed(path)), /lacks tokenizer.json/);
  const own = join(folder, 'cache', 'weights', 'org', 'half');
  await mkdir(own, { recursive: true });
  await copyFile(join(path, 'config.json'), join(own, 'config.json'));
  assert.match(
    await failure(embed('org/half')),
    /half lacks model.safetensors or pytorch_model.bin, tokenizer.json/,
  );
});

test('weights that do not fit the configuration are named', async () => {
  const fails = async (twist: Twist) => {
    await rm(join(folder, 'bad'), { recursive: true, force: true });
    return failure(embed(await checkpoint(join(folder, 'bad'), twist)));
  };
  assert.match(
    await fails({
      change: (t) => [...t.keys()].filter((n) => n.includes('layer.1.')).forEach((n) => void t.delete(n)),
    }),
    /model.safetensors: 16 tensors of a RoBERTa model are missing: encoder.layer.1.attention.self.query.weight.* and 12 more/,
  );
  assert.match(await fails({ change: (t) => t.clear() }), /tensors of a RoBERTa model are missing/);
  assert.match(
    await fails({ config: { intermediate_size: 16 } }),
    /'encoder.layer.0.intermediate.dense.weight' has shape \[12, 8\], expected \[16, 8\]/,
  );
  assert.match(
    await fails({
      change: (t) =>
        t.set('embeddings.LayerNorm.bias', { dtype: 'I32', shape: [8], data: new Int32Array(8) }),
    }),
    /'embeddings.LayerNorm.bias' holds I32/,
  );
  assert.match(
    await fails({ change: (t) => t.get('embeddings.LayerNorm.weight')!.data.fill(Number.NaN as never) }),
    /tiny gave NaN in column 0/,
  );
});

test('a configuration that is not RoBERTa, or makes no sense, is refused', async () => {
  const fails = async (config: object) => failure(embed(await checkpoint(join(folder, 'bad'), { config })));
  assert.match(await fails({ model_type: 'bert' }), /config.json: model_type: .*"roberta"/);
  assert.match(await fails({ hidden_act: 'relu' }), /hidden_act: .*"gelu"/);
  assert.match(await fails({ hidden_size: 'large' }), /hidden_size: .*expected number/);
  assert.match(await fails({ num_attention_heads: 3 }), /hidden_size 8 is not divisible by 3 heads/);
  assert.match(await fails({ vocab_size: 4 }), /merges.txt: 9 tokens, but config.json gives the model 4/);
  assert.match(await fails({ pad_token_id: 3 }), /<pad> is token 1, but config.json says 3/);
  await writeFile(join(folder, 'bad', 'config.json'), '[]');
  assert.match(await failure(embed(join(folder, 'bad'))), /config.json: .*expected object/);
});

test('weights can be read for training', async () => {
  const path = await checkpoint(join(folder, 'model'));
  const config = await readRobertaConfig(path);
  const file = join(path, 'model.safetensors');
  assert.is((await readRobertaWeights(file, config)).trainable().length, 0);
  assert.is(
    (await readRobertaWeights(file, config, { trainable: true })).trainable().length,
    robertaShapes(config).size,
  );
});

test.run();
