import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Progress } from '../../common/progress.ts';
import { type RunResult, runExperiment } from '../../training/index.ts';

// Whole trainings on real data: minutes, so not among the unit tests. Bounds are floors that chance cannot pass and a
// broken model cannot reach; the measured figures are in the README.

const data = fileURLToPath(new URL('../../../shared/data/', import.meta.url));

function real(name: string, folder: string, check: (path: string, runs: string) => Promise<void>): void {
  const path = join(data, folder);
  if (!existsSync(path)) {
    console.log(`skipped: ${name}: ${path} is not there`);
    return;
  }
  test(name, async () => {
    const runs = await mkdtemp(join(tmpdir(), 'rec-real-'));
    try {
      await check(path, runs);
    } finally {
      await rm(runs, { recursive: true, force: true });
    }
  });
}

async function run(model: string, dataset: string, runs: string, set: string[]): Promise<RunResult> {
  const result = await runExperiment({ model, dataset, runs, set, seed: '1' }, new Progress());
  const { epochs, timing, test } = result;
  console.log(
    `${model} on ${result.dataset}: test ndcg@10 ${test['ndcg@10'].toFixed(4)}, recall@10 ${test['recall@10'].toFixed(4)}; ` +
      `${epochs.run} epochs of ${timing.trainSecondsPerEpoch} s, ${timing.totalSeconds} s`,
  );
  return result;
}

/** RecBole's test NDCG@10 on the same rows and vectors, one seed (two standard errors of 2,055 rows are about .008). */
const recbole = { gru4rec: 0.0424, sasrec: 0.0562, 'sasrec-text': 0.053 };
for (const [model, peer] of Object.entries(recbole)) {
  real(`${model} reaches RecBole's quality on ml100k-r5h5`, 'ml100k-r5h5', async (path, runs) => {
    const { test } = await run(model, path, runs, ['train.batchSize=512']);
    assert.ok(test['ndcg@10'] > peer - 0.008, `ndcg@10 ${test['ndcg@10']}, RecBole ${peer}`);
  });
}

real('unisrec learns from the ready-made vectors of ml100k-r5h5', 'ml100k-r5h5', async (path, runs) => {
  const { test, baselines } = await run('unisrec', path, runs, ['train.batchSize=512', 'train.epochs=2']);
  assert.ok(test['ndcg@10'] > baselines.popularity.test['ndcg@10']);
});

for (const model of ['gru4rec', 'sasrec', 'sasrec-text', 'unisrec']) {
  for (const split of ['leave-last-out', 'timestamp']) {
    real(`${model} on All_Beauty 5-core, ${split}`, 'amazon2023-all-beauty-5core', async (path, runs) => {
      // Few rows are before the paper's times: that they are trained on at all is what is looked at there.
      const epochs = split === 'timestamp' ? 3 : 15;
      const set = ['train.batchSize=128', `train.epochs=${epochs}`, `data.split=${split}`];
      const { valid, baselines, rows } = await run(model, path, runs, set);
      assert.ok(rows.test > 0 && rows.valid > 0);
      if (split === 'leave-last-out') assert.ok(valid['ndcg@10'] > baselines.popularity.test['ndcg@10']);
    });
  }
}

real('sasrec on amazon2014-beauty, two epochs', 'amazon2014-beauty', async (path, runs) => {
  const { items, rows, test, baselines } = await run('sasrec', path, runs, [
    'train.epochs=2',
    'train.batchSize=512',
  ]);
  assert.is(items, 12086);
  assert.is(rows.test, 22332);
  assert.ok(test['ndcg@10'] > baselines.popularity.test['ndcg@10']);
});

/** Test Recall@10 and NDCG@10 of co-occurrence without training, measured elsewhere on the same data. */
const floors = {
  'amazon2014-beauty': [0.0749, 0.044],
  'amazon2018-scientific': [0.1093, 0.0745],
  'amazon2023-all-beauty-5core': [0.0751, 0.0522],
};
for (const [folder, [recall, ndcg]] of Object.entries(floors)) {
  real(`item-transition on ${folder} reaches the figures of co-occurrence`, folder, async (path, runs) => {
    const { test } = await run('item-transition', path, runs, ['data.split=auto']);
    assert.ok(test['recall@10'] > 0.93 * recall && test['ndcg@10'] > 0.93 * ndcg);
  });
}

test.run();
