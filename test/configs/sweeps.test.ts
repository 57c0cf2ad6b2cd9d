import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { projectCatalogue } from '../../configs/catalogue.ts';
import { readSweepFile } from '../../sweeps/file.ts';
import { planSweep } from '../../sweeps/plan.ts';

const folder = fileURLToPath(new URL('../../configs/sweeps/', import.meta.url));
const plan = async (name: string) =>
  planSweep(readSweepFile(`${folder}${name}`), 'runs/sweep', { set: [] }, await projectCatalogue()).trials;

test('every sweep file that comes with the project can be meant', async () => {
  for (const name of readdirSync(folder)) assert.ok((await plan(name)).length > 1, name);
});

test("Table 4 is the paper's methods, on its datasets", async () => {
  const all = [...(await plan('table4.yaml')), ...(await plan('table4-mlm.yaml'))];
  const trials = all.filter(({ command }) => command[0] === 'run');
  const methods = ['gru4rec', 'sasrec', 'sasrec-text roberta-base'].concat(
    ['roberta', 'simcse', 'pretrained:mlm', 'blair'].flatMap((name) => [
      `unisrec ${name}-base`,
      `unisrec ${name}-large`,
    ]),
  );
  const expected = ['beauty', 'games', 'baby'].flatMap((dataset) =>
    methods.flatMap((method) => [1, 2, 3].map((seed) => `${dataset} ${method} ${seed}`)),
  );
  const found = trials.map(({ settings: s }) =>
    [s['run.dataset'], s['run.model'] ?? 'unisrec', s['run.encoder'], s.seed].filter(Boolean).join(' '),
  );
  assert.equal(found.sort(), expected.sort());
});

test.run();
