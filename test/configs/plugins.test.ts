import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { UserError } from '../../common/errors.ts';
import { Progress } from '../../common/progress.ts';
import { loadPlugins } from '../../configs/plugins.ts';
import { loadDataset, resolveSource } from '../../data/index.ts';
import { dataSettings } from '../../data/settings.ts';
import { models } from '../../models/index.ts';
import { checkPlugin } from '../../training/contract/index.ts';
import { evaluateExperiment, runExperiment } from '../../training/index.ts';

const test = suite<{ folder: string }>('plugins');
// A folder without a package.json, as a user's may be.
test.before((context) => {
  context.folder = mkdtempSync(join(tmpdir(), 'rec-plugins-'));
  process.env.REC_CACHE = join(context.folder, 'cache');
});
test.after(({ folder }) => rmSync(folder, { recursive: true }));

function write(folder: string, name: string, text: string): string {
  const path = join(folder, name);
  mkdirSync(join(path, '..'), { recursive: true });
  writeFileSync(path, text);
  return path;
}

const model = (name: string, body: string) => `
import { defineModel, embedding, tf, z } from 'rec';
import { size } from './parts/size';

export default defineModel({
  name: '${name}',
  summary: 'the last item',
  input: 'id',
  config: z.strictObject({ size: z.int().default(size).describe('width') }),
  build({ size }, { itemCount, parameters }) {
    const table = embedding(parameters, 'item', itemCount, size, true);
    ${body}
  },
});`;
const lastItem =
  'return { items: (items) => items.rows(table), sequence: ({ vectors }) => tf.mul(vectors, 2) };';

const shop = `
import { defineDataset, defineEncoder, hashJson, seeded, z } from 'rec';
import { readFileSync } from 'node:fs';

// What lies beside a plugin is found from where the plugin is.
const names = readFileSync(new URL('./items.txt', import.meta.url), 'utf8').trim().split('\\n');

export const dataset = defineDataset({
  name: 'my-shop',
  summary: 'customers who go around a ring of items',
  defaults: { data: { split: 'leave-last-out' } },
  *interactions() {
    const random = seeded('my-shop');
    for (let user = 0; user < 40; user++)
      for (let time = 0, item = random.below(names.length); time < 8; time++, item++)
        yield { user: 'u' + user, item: 'i' + (item % names.length), time: 1000 * user + time };
  },
  async *items() {
    for (const [i, text] of names.entries()) yield { id: 'i' + i, text: text + '\\twith a tab' };
  },
});

export const encoder = defineEncoder({
  name: 'letters',
  summary: 'counts of letters',
  config: z.strictObject({ dims: z.int().default(4) }),
  async open({ dims }) {
    return {
      dims,
      fingerprint: hashJson({ encoder: 'letters', dims }),
      rowsDependOn: 'text',
      async embed(texts, onRows) {
        await onRows(0, Float32Array.from([...texts].flatMap((text) => Array.from({ length: dims }, (_, d) => text.split('abcd'[d % 4]).length))));
      },
      async close() {},
    };
  },
});`;

const small = ['train.epochs=2', 'train.batchSize=64', 'eval.topk=5'];

test('a model in TypeScript, with a file of its own beside it, is run like a built-in one; the run keeps it', async ({
  folder,
}) => {
  write(folder, 'parts/size.ts', 'export const size: number = 8;\n');
  const path = write(folder, 'mine.ts', model('mine', lastItem));
  const runs = join(folder, 'runs');
  const options = { model: 'mine', plugin: [path], set: [...small, 'model.size=4'], runs };
  const result = await runExperiment(options, new Progress());
  assert.equal([result.model, result.epochs.run], ['mine', 2]);
  assert.equal(readdirSync(join(result.run, 'plugins')), ['1-mine.mjs']);
  assert.match(readFileSync(join(result.run, 'config.yaml'), 'utf8'), `plugin: [ ${path} ]  # --plugin`);
  // The plugin changes, and goes away: the run is evaluated as it was.
  write(folder, 'parts/size.ts', 'throw new Error("changed");\n');
  rmSync(path);
  const again = await evaluateExperiment({ folder: result.run, set: [] }, new Progress());
  assert.equal(again.test, result.test);
});

test('a changed plugin is loaded anew, in place of the one before', async ({ folder }) => {
  write(folder, 'parts/size.ts', 'export const size = 8;\n');
  const path = write(folder, 'mine.ts', model('mine', lastItem));
  const sizes = () => models.get('mine').config.parse({}).size;
  const [first] = await loadPlugins([path]);
  assert.equal([first.models, sizes()], [['mine'], 8]);
  write(folder, 'parts/size.ts', 'export const size = 16;\n');
  const [second] = await loadPlugins([path]);
  assert.is(sizes(), 16);
  assert.is.not(second.hash, first.hash);
  assert.is(models.names().filter((name) => name === 'mine').length, 1);
});

test('datasets and encoders of a plugin: prepared, embedded, trained on', async ({ folder }) => {
  write(folder, 'items.txt', Array.from({ length: 12 }, (_, i) => `${'abcd'[i % 4]} number ${i}`).join('\n'));
  const path = write(folder, 'shop.ts', shop);
  const options = { model: 'sasrec-text', encoder: 'letters', dataset: 'my-shop', plugin: [path] };
  const set = [...small, 'model.hiddenSize=8', 'model.adaptorSize=8', 'encoder.dims=3'];
  const result = await runExperiment({ ...options, set, runs: join(folder, 'runs') }, new Progress());
  assert.equal([result.dataset, result.encoder, result.items], ['my-shop', 'letters', 12]);
  // Eight in a row: the first has no history, two are validated and tested on.
  assert.equal(result.rows, { train: 40 * 5, valid: 40, test: 40 });
  const { pool, itemIds, itemTexts } = await loadDataset(
    resolveSource('my-shop'),
    dataSettings.parse({ split: 'leave-last-out' }),
    { progress: new Progress(), seed: 1 },
  );
  assert.is(pool.length, 320);
  const texts = await Promise.all([...(itemTexts ?? [])]);
  assert.is(texts[itemIds.indexOf('i5')], 'b number 5 with a tab');
  for (const { checks } of await checkPlugin(path, new Progress()))
    for (const { name, failure } of checks) assert.is(failure, undefined, name);
});

test('what a model returns is held to the contract as it is trained, too; what it never uses is noted', async ({
  folder,
}) => {
  const broken = {
    shorter: [
      'return { items: (items) => items.rows(table), sequence: ({ vectors }) => tf.slice(vectors, [0, 0, 0], [-1, 1, -1]) };',
      /^sequence\(\) returned \[\d+, 1, \d+\] where \[batch, length, d\] = \[\d+, \d+, \d+\] was expected/,
    ],
    text: [
      "return { items: () => 'x' as any, sequence: ({ vectors }) => vectors };",
      /^items\(\) returned no tensor but a string/,
    ],
    half: ['return { items: (items) => items.rows(table) } as any;', /^build\(\) returned no sequence\(\)/],
    nan: [
      'return { items: (items) => items.rows(table), sequence: ({ vectors }) => tf.mul(vectors, NaN) };',
      /the loss is NaN at epoch 1, step 1, .* rec check FILE looks for it/,
    ],
  } as const;
  for (const [name, [body, expected]] of Object.entries(broken)) {
    const path = write(folder, `${name}.ts`, model(name, body));
    const options = { model: name, plugin: [path], set: small, runs: join(folder, 'runs') };
    const error = await runExperiment(options, new Progress()).catch((reason: unknown) => reason);
    assert.instance(error, UserError, String(error));
    assert.match((error as Error).message, expected);
    const [{ checks }] = await checkPlugin(path, new Progress());
    if (name === 'text') assert.match(checks[0].failure!, expected);
  }
  const idle = `embedding(parameters, 'idle', 3, size, true); ${lastItem}`;
  const [{ checks }] = await checkPlugin(write(folder, 'idle.ts', model('idle', idle)), new Progress());
  assert.equal(
    checks.flatMap(({ failure, note }) => failure ?? note ?? []),
    ['the loss does not depend on idle.weight: training leaves such parameters as they are'],
  );
});

test('what is wrong with an encoder or a dataset is found', async ({ folder }) => {
  const unsteady = write(
    folder,
    'unsteady.ts',
    shop
      .replace(`seeded('my-shop')`, '{ below: (n: number) => Math.floor(Math.random() * n) }')
      .replace('await onRows(0,', 'await onRows(1,')
      .replace("'my-shop'", "'unsteady'")
      .replace("name: 'letters'", "name: 'unsteady'"),
  );
  const [encoder, dataset] = await checkPlugin(unsteady, new Progress());
  assert.match(encoder.checks[0].failure!, 'embed() handed over rows from 1 on where row 0 was next');
  assert.match(dataset.checks[1].failure!, 'seed what is random');
  const nobody = write(
    folder,
    'nobody.ts',
    shop.replace("user: 'u' + user", "user: ''").replace("'my-shop'", "'nobody'"),
  );
  const outcome = await checkPlugin(nobody, new Progress());
  assert.match(
    outcome[1].checks[0].failure!,
    `dataset 'nobody': interaction 1: user is ""; a text without tabs`,
  );
});

test('what fails in the code of a plugin is said to be its own, with the place', async ({ folder }) => {
  let made = 0;
  /** Runs a plugin whose text is changed, under names of its own. */
  const attempt = async (text: string, change: [string, string], chosen: string[]) => {
    const name = `failing${++made}`;
    const path = write(folder, `${name}.ts`, text.replaceAll('NAME', name).replace(...change));
    const [model, encoder, dataset] = chosen.map((choice) => choice.replace('NAME', name));
    const options = { model, encoder, dataset, plugin: [path], set: [...small], runs: join(folder, 'runs') };
    const error = await runExperiment(options, new Progress()).catch((reason: unknown) => reason);
    assert.instance(error, UserError, String(error));
    return (error as Error).message;
  };
  const mine = model('NAME', lastItem);
  const built: [string, string] = ['return {', "throw new TypeError('oops'); return {"];
  assert.match(
    await attempt(mine, built, ['NAME', 'lsa', 'demo']),
    /plugin .*failing1\.ts: failing1: build\(\) failed \(.*failing1\.ts:\d+:\d+\): oops/,
  );
  const sold = shop.replace("'my-shop'", "'NAME'").replace("name: 'letters'", "name: 'NAME'");
  const chosen = ['sasrec-text', 'NAME', 'NAME'];
  assert.match(
    await attempt(sold, ['await onRows(0,', "throw 'out of service'; await onRows(0,"], chosen),
    /plugin .*failing2\.ts: encoder failing2: embed\(\) failed: out of service/,
  );
  assert.match(
    await attempt(sold, ['*interactions() {', "*interactions() { throw new Error('db gone');"], chosen),
    /plugin .*failing3\.ts: dataset 'failing3': interactions\(\) failed \(.*failing3\.ts:\d+:\d+\): db gone/,
  );
  assert.is(
    await attempt(sold, ['*interactions() {', '*interactions() { yield undefined as any;'], chosen),
    "dataset 'failing4': interactions() yielded undefined as number 1, not an object",
  );
});

test('what cannot be loaded is said, with the place', async ({ folder }) => {
  const attempt = async (path: string) => {
    const error = await loadPlugins([path]).catch((reason: unknown) => reason);
    assert.instance(error, UserError, String(error));
    return (error as Error).message;
  };
  const file = (text: string) => write(folder, 'wrong.ts', text);
  assert.match(await attempt(join(folder, 'nowhere.ts')), 'nowhere.ts: does not exist');
  assert.match(await attempt(folder), 'is not a file');
  assert.match(await attempt(file('const x = ;')), /wrong\.ts:1:11: Unexpected ";"/);
  assert.match(
    await attempt(file("import './missing';")),
    /wrong\.ts:1:\d+: Could not resolve "\.\/missing"/,
  );
  assert.match(await attempt(file('export default 3;')), 'exports no definition; export default defineModel');
  assert.match(
    await attempt(file('throw new Error("no data here");')),
    'failed as it was loaded: no data here',
  );
  const taken = file(
    "import { defineBaseline, z } from 'rec';\n".concat(
      "export default defineBaseline({ name: 'sasrec', summary: '', config: z.strictObject({}), fit: () => { throw 0; } });",
    ),
  );
  assert.match(await attempt(taken), "model 'sasrec' is built in; give the plugin's a name of its own");
  const dataset = file(
    "import { defineDataset } from 'rec';\n".concat(
      "export default defineDataset({ name: 'games', summary: '', *interactions() {} });",
    ),
  );
  assert.match(await attempt(dataset), "dataset 'games' comes with the project");
});

test.run();
