import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { execHere } from './rec.ts';

const test = suite<{ folder: string }>('rec data');

test.before((context) => {
  context.folder = mkdtempSync(join(tmpdir(), 'rec-data-'));
  process.env.REC_CACHE = join(context.folder, 'cache');
});
test.after(({ folder }) => rmSync(folder, { recursive: true }));

async function succeeds(...args: string[]) {
  const { code, stdout, stderr } = await execHere(['data', ...args]);
  assert.is(code, 0, stderr);
  return { stdout, stderr };
}

async function fails(expected: number, message: string | RegExp, ...args: string[]): Promise<void> {
  const { code, stdout, stderr } = await execHere(['data', ...args]);
  assert.equal([code, stdout], [expected, ''], stderr);
  assert.match(stderr, message);
}

test('export writes a folder that reads again, and says how', async ({ folder }) => {
  const out = join(folder, 'out');
  const { stdout } = await succeeds(
    'export',
    '--format',
    'recbole',
    '--out',
    out,
    '--set',
    'data.text=search',
  );
  assert.match(stdout, `${out}/demo.inter`);
  assert.match(stdout, `reads again as: rec data prepare --dataset ${out} --set data.text=search`);
  assert.equal(readdirSync(out).sort(), ['demo.inter', 'demo.item']);
  const { counts } = JSON.parse((await succeeds('prepare', '--json', '--dataset', out)).stdout);
  assert.equal(counts, JSON.parse((await succeeds('prepare', '--json')).stdout).counts);
  await fails(2, 'there is something already', 'export', '--format', 'csv', '--out', out);
  await fails(
    2,
    /unknown format 'xml'\. Must be one of \[.*recbole/,
    'export',
    '--format',
    'xml',
    '--out',
    join(folder, 'x'),
  );
});

test("a plugin's dataset is exported", async ({ folder }) => {
  const plugin = fileURLToPath(new URL('../../examples/my-dataset.ts', import.meta.url));
  const out = join(folder, 'of-a-plugin');
  const from = ['--plugin', plugin, '--dataset', 'my-dataset'];
  await succeeds('export', ...from, '--format', 'csv', '--out', out);
  assert.ok(readdirSync(out).length);
});

test("own files are described on the command line, and go by the description's name", async ({ folder }) => {
  const reviews = join(folder, 'sales.csv');
  const rows = Array.from({ length: 30 }, (_, i) => `c${i % 5},p${(i * 7) % 11},2024-01-${10 + (i % 20)}`);
  writeFileSync(reviews, ['customer,product,day', ...rows].join('\n'));
  const columns = ['--columns', 'user=customer,item=product,time=day'];
  const save = join(folder, 'shop.yaml');
  const { stdout, stderr } = await succeeds('prepare', '--reviews', reviews, ...columns, '--save', save);
  assert.match(
    stderr,
    /sales.csv is understood as reviews, times as dates; its first rows:\n {2}user c0, item p0, 2024-01-10T/,
  );
  assert.match(stdout, `to go on with it: rec run --dataset ${save}`);
  assert.match(stdout, /^shop, read as own/);
  assert.match((await succeeds('inspect', '--dataset', save)).stdout, /^shop, read as own/);
  const unnamed = await succeeds('prepare', '--reviews', reviews, ...columns);
  assert.match(unnamed.stdout, /rec run --dataset .*cache\/own\/.*\/sales.yaml/);
  await fails(
    2,
    "unknown meaning of a column 'usr'",
    'prepare',
    '--reviews',
    reviews,
    '--columns',
    'usr=customer',
  );
  await fails(2, 'not both', 'prepare', '--reviews', reviews, '--dataset', 'demo');
  await fails(2, 'give --reviews too', 'prepare', '--items', reviews);
  await fails(1, 'nothing.csv: does not exist', 'prepare', '--reviews', join(folder, 'nothing.csv'));
  await fails(2, 'another file of that name', 'prepare', '--reviews', reviews, '--save', save);
  await fails(1, `${reviews}: no column 'user_id'`, 'prepare', '--reviews', reviews);
  await fails(2, 'must end in .yaml', 'prepare', '--reviews', reviews, '--save', join(folder, 'shop'));
  assert.not.ok(existsSync(join(folder, 'shop')));
});

test.run();
