import { execFile, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { seeded } from '../../common/random.ts';
import { type Tensor, writeSafetensors } from '../../common/safetensors.ts';
import { robertaShapes } from '../../encoders/roberta-model.ts';
import { StandIn, sha256 } from '../hub/server.ts';
import { skipped } from '../skip.ts';
import { type Ended, execHere, start } from './rec.ts';

const test = suite<{ hub: StandIn; folder: string; env: NodeJS.ProcessEnv }>('rec data download');

test.before.each(async (context) => {
  context.hub = await new StandIn().open();
  context.folder = mkdtempSync(join(tmpdir(), 'rec-download-'));
  const { hub, folder } = context;
  hub.repositories['datasets/McAuley-Lab/Amazon-Reviews-2023'] = { commit: 'a'.repeat(40), files: beauty() };
  hub.repositories['models/hyp1231/blair-roberta-base'] = {
    commit: 'b'.repeat(40),
    files: await blair(folder),
  };
  context.env = {
    HF_HOME: join(folder, 'hf'),
    HF_ENDPOINT: hub.endpoint,
    REC_CACHE: join(folder, 'cache'),
    REC_DATA: '',
    HF_HUB_CACHE: undefined,
    HF_TOKEN: '',
    HF_HUB_OFFLINE: '',
  };
});
test.after.each(async ({ hub, folder }) => {
  await hub.close();
  rmSync(folder, { recursive: true });
});

const ratings = 'benchmark/0core/rating_only/All_Beauty.csv';
const metadata = 'raw/meta_categories/meta_All_Beauty.jsonl';

/** The two files of a small All_Beauty. */
function beauty(): Record<string, Buffer> {
  const random = seeded('beauty');
  const rows = ['user_id,parent_asin,rating,timestamp'];
  for (let user = 0; user < 60; user++)
    for (let i = 0; i < 8; i++)
      rows.push(`U${user},I${random.below(40)},5.0,${1628643414042 + (i - 4) * 12_000_000_000 + user}`);
  const items = Array.from({ length: 40 }, (_, i) => `{"parent_asin":"I${i}","title":"ab a b ${i}"}`);
  return { [ratings]: Buffer.from(rows.join('\n')), [metadata]: Buffer.from(items.join('\n')) };
}

/** The files of a RoBERTa that is small enough to run in a moment. */
async function blair(folder: string): Promise<Record<string, Buffer>> {
  const config = {
    model_type: 'roberta',
    hidden_size: 8,
    num_hidden_layers: 1,
    num_attention_heads: 2,
    intermediate_size: 12,
    vocab_size: 9,
    max_position_embeddings: 40,
  };
  const vocabulary = { '<s>': 0, '<pad>': 1, '</s>': 2, '<unk>': 3, a: 4, b: 5, ab: 6, Ġ: 7, '<mask>': 8 };
  const shape = {
    layers: 1,
    heads: 2,
    hiddenSize: 8,
    innerSize: 12,
    vocabSize: 9,
    maxPositions: 40,
    tokenTypes: 1,
    padId: 1,
  };
  const random = seeded('blair');
  const tensors = [...robertaShapes({ ...shape, epsilon: 1e-5, hiddenDropout: 0, attentionDropout: 0 })].map(
    ([name, shape]): [string, Tensor] => {
      const data = Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => random.normal());
      return [name, { dtype: 'F32', shape, data }];
    },
  );
  const path = join(folder, 'weights');
  await writeSafetensors(path, new Map(tensors));
  return {
    'config.json': Buffer.from(JSON.stringify(config)),
    'model.safetensors': readFileSync(path),
    'pytorch_model.bin': Buffer.from('pickled, and not to be fetched'),
    'vocab.json': Buffer.from(JSON.stringify(vocabulary)),
    'merges.txt': Buffer.from('#version: 0.2\na b\n'),
  };
}

/** Runs a command in this process with another environment, which its thread takes over. */
async function run(args: string[], env: NodeJS.ProcessEnv): Promise<Ended> {
  const before = { ...process.env };
  const set = (values: NodeJS.ProcessEnv) => {
    for (const [name, value] of Object.entries(values)) {
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
    }
  };
  set(env);
  try {
    return await execHere(args);
  } finally {
    set(Object.fromEntries(Object.keys(env).map((name) => [name, before[name]])));
  }
}

const done = ({ code, stderr, stdout }: Ended): string => {
  assert.is(code, 0, stderr);
  return stdout;
};

test('a run says what it needs and how large it is, fetches it, and needs no network afterwards', async ({
  hub,
  folder,
  env,
}) => {
  const args = [
    'run',
    '--model',
    'sasrec-text',
    '--dataset',
    'All_Beauty',
    '--encoder',
    'blair-base',
    '--runs',
    join(folder, 'runs'),
    '--json',
    '--set',
    'train.epochs=1',
    'model.hiddenSize=8',
    'model.innerSize=8',
  ];
  const first = await run(args, env);
  assert.ok(JSON.parse(done(first)).test['ndcg@10'] >= 0);
  const said = first.stderr.slice(0, first.stderr.indexOf('epoch'));
  assert.match(
    said,
    /dataset 'beauty' and the weights of hyp1231\/blair-roberta-base: 6 files, \d+ kB, to be downloaded to .*hf\/hub/,
  );
  for (const file of [ratings, metadata, 'model.safetensors', 'vocab.json'])
    assert.match(said, new RegExp(`(bytes|kB) +.*/${file}`));
  assert.not.match(said, 'pytorch_model.bin');
  const before = hub.seen.length;
  const offline = { ...env, HF_HUB_OFFLINE: '1' };
  done(await run(['encode', '--dataset', 'All_Beauty', '--encoder', 'blair-base'], offline));
  assert.is(hub.seen.length, before);
});

test('without a network: what to get, and where to put it', async ({ env }) => {
  const offline = { ...env, HF_HUB_OFFLINE: '1' };
  const { code, stderr, stdout } = await run(
    ['run', '--model', 'sasrec-text', '--dataset', 'beauty', '--encoder', 'blair-base'],
    offline,
  );
  assert.equal([code, stdout], [1, '']);
  assert.match(stderr, /^rec: HF_HUB_OFFLINE is set: nothing is downloaded/);
  assert.match(
    stderr,
    `https://huggingface.co/datasets/McAuley-Lab/Amazon-Reviews-2023/resolve/main/${metadata}`,
  );
  assert.match(stderr, `$REC_DATA/${metadata}`);
  assert.match(stderr, 'weights of hyp1231/blair-roberta-base are not at hand');
  const nowhere = await run(['data', 'prepare', '--dataset', 'beauty'], {
    ...env,
    HF_ENDPOINT: 'http://127.0.0.1:9',
  });
  assert.is(nowhere.code, 1);
  assert.match(nowhere.stderr, /http:\/\/127.0.0.1:9 cannot be reached.*Set REC_DATA/s);
});

test('the command: results, dry runs, other files, wrong usage', async ({ hub, env }) => {
  const download = (...args: string[]) => run(['data', 'download', ...args], env);
  const dry = await download('--dataset', 'beauty', '--encoder', 'blair-base', '--dry-run', '--json');
  const { files } = JSON.parse(done(dry));
  assert.is(files.length, 6);
  assert.ok(
    files.every(
      ({ here, bytes, path }: { here: boolean; bytes: number; path: string }) =>
        !here && bytes > 0 && !existsSync(path),
    ),
  );
  for (const [args, message] of [
    [[], 'Give --dataset, --encoder or both'],
    [['--dataset', 'demo'], "dataset 'demo' is not on the hub"],
    [['--dataset', 'any/repository'], 'which files of any/repository? Name them with --file'],
    [['--encoder', 'lsa'], "encoder 'lsa' has no weights on the hub"],
    [['--encoder', 'blair-base', '--file', 'x'], 'give --dataset too'],
  ] as const) {
    const { code, stderr } = await download(...args);
    assert.is(code, 2);
    assert.match(stderr, message);
  }
  const two = await download(
    '--dataset',
    'beauty',
    '--file',
    'raw/meta_categories/*.jsonl',
    '--file',
    ratings,
  );
  assert.match(done(two), /meta_All_Beauty.jsonl +[\d.]+ .*downloaded/);
  assert.is(hub.downloads().length, 2);
  hub.repositories['datasets/tasksource/esci'] = {
    commit: 'e'.repeat(40),
    files: {
      'data/test-00000-of-00002-1f.parquet': Buffer.from('1'),
      'data/train.parquet': Buffer.from('2'),
    },
  };
  const other = await download('--dataset', 'tasksource/esci', '--file', 'data/test-*.parquet');
  assert.match(done(other), /data\/test-00000-of-00002-1f.parquet +1 bytes +downloaded/);
});

test('killed at any moment, a download goes on and ends whole', async ({ hub, env, folder }) => {
  const content = Buffer.alloc(3_000_000, 'x');
  hub.repositories['datasets/McAuley-Lab/Amazon-Reviews-2023'].files[metadata] = content;
  hub.faults.push((seen, response) => {
    if (seen.on !== 'store' || seen.path.slice(1) !== sha256(content)) return false;
    let sent = Number(/\d+/.exec(seen.range ?? '0')?.[0]);
    response.writeHead(sent ? 206 : 200, { 'content-length': content.length - sent });
    const timer = setInterval(() => {
      response.write(content.subarray(sent, sent + 20_000));
      sent += 20_000;
      if (sent < content.length && !response.destroyed) return;
      clearInterval(timer);
      response.end();
    }, 5);
    return true;
  });
  const args = ['data', 'download', '--dataset', 'beauty', '--quiet'];
  const blobs = join(folder, 'hf', 'hub', 'datasets--McAuley-Lab--Amazon-Reviews-2023', 'blobs');
  const random = seeded('kills');
  for (let kill = 0; kill < 2; kill++) {
    const { child, ended } = start(args, env);
    const before = hub.seen.filter(({ on }) => on === 'store').length;
    while (hub.seen.filter(({ on }) => on === 'store').length === before)
      await new Promise((resolve) => setTimeout(resolve, 5));
    setTimeout(() => child.kill('SIGKILL'), 40 + random.below(150));
    await ended;
    assert.not.ok(readdirSync(blobs).includes(sha256(content)), 'the name is given to the whole file only');
    rmSync(join(blobs, `${sha256(content)}.incomplete.lock`), { force: true });
  }
  hub.faults.length = 0;
  done(await run(args, env));
  assert.equal(readFileSync(join(blobs, sha256(content))), content);
  const offsets = hub.seen
    .filter(({ path }) => path.slice(1) === sha256(content))
    .map(({ range }) => Number(/\d+/.exec(range ?? '0')?.[0]));
  assert.ok(
    offsets.slice(1).every((offset, i) => offset >= offsets[i]) && offsets.at(-1)! > 0,
    String(offsets),
  );
});

const python = process.env.REC_PYTHON || 'python3';
const hasHub = spawnSync(python, ['-c', 'import huggingface_hub']).status === 0;
if (!hasHub) skipped(`${python} has no huggingface_hub, the cache is not compared with Python's`);

if (hasHub)
  test('Python finds what rec fetched, and rec what Python fetched', async ({ hub, env }) => {
    const script = `from huggingface_hub import hf_hub_download as get
for file in ${JSON.stringify([ratings, metadata])}: print(get('McAuley-Lab/Amazon-Reviews-2023', file, repo_type='dataset'))`;
    const fetch = async (more: NodeJS.ProcessEnv) => {
      const options = { env: { ...process.env, ...env, ...more }, timeout: 60_000 };
      return (await promisify(execFile)(python, ['-c', script], options)).stdout.trim().split('\n');
    };
    const ours = JSON.parse(done(await run(['data', 'download', '--dataset', 'beauty', '--json'], env)));
    const paths = ({ path }: { path: string }) => path;
    assert.equal(await fetch({ HF_HUB_OFFLINE: '1' }), ours.files.map(paths));
    const elsewhere = { HF_HOME: `${env.HF_HOME}-python` };
    const theirs = await fetch(elsewhere);
    const before = hub.seen.length;
    const offline = { ...env, ...elsewhere, HF_HUB_OFFLINE: '1' };
    const manifest = JSON.parse(
      done(await run(['data', 'prepare', '--dataset', 'beauty', '--json'], offline)),
    );
    assert.equal(manifest.sources.map(paths), theirs);
    assert.is(hub.seen.length, before);
  });

test.run();
