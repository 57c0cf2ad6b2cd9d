import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { UserError } from '../../common/errors.ts';
import { variants } from '../models/support.ts';
import { type Outcome, runWith, trainerOf, variantNamed } from './support.ts';

/** Trains with scripted validation scores; after the script the last one is repeated. */
async function stopping(scores: readonly number[], settings: Record<string, unknown> = {}) {
  const { trainer, built } = trainerOf({ settings });
  const outcome = await runWith(trainer, (epoch) => scores[Math.min(epoch, scores.length) - 1]);
  built.parameters.dispose();
  return {
    epochs: outcome.records.length,
    best: trainer.state.best.epoch,
    stop: trainer.state.stop,
    ...outcome,
  };
}

test('the eleventh epoch without a better metric is the last', async () => {
  const { epochs, best, stop, improved } = await stopping([0.1, 0.2, 0.15]);
  assert.is(epochs, 2 + 11);
  assert.is(best, 2);
  assert.is(stop, 'no better ndcg@10 in 11 epochs');
  assert.equal(improved, [true, true, ...new Array(11).fill(false)]);
});

test('ten epochs without are borne', async () => {
  const scores = [0.2, ...new Array(10).fill(0.1), 0.3, 0.1];
  const { epochs, best } = await stopping(scores);
  assert.is(best, 12);
  assert.is(epochs, 12 + 11);
});

test('metrics are compared rounded to four decimals, a tie is an improvement', async () => {
  const { improved, best } = await stopping([0.10004, 0.09996, 0.09994, 0.1, 0.10006, 0.10003, 0.10006], {
    epochs: 7,
  });
  //        .1000 first, .1000 tie, .0999 less, .1000 tie, .1001 more, .1000 less, .1001 tie
  assert.equal(improved, [true, true, false, true, true, false, true]);
  assert.is(best, 7);
});

test('a metric that stays zero improves all the time', async () => {
  const { epochs, best, stop } = await stopping([0], { epochs: 14 });
  assert.is(epochs, 14);
  assert.is(best, 14);
  assert.is(stop, 'all 14 epochs');
});

test('the patience and the metric can be set', async () => {
  assert.is((await stopping([0.2, 0.1], { patience: 0 })).epochs, 2);
  assert.is((await stopping([0.2, 0.1], { patience: 2 })).epochs, 4);
  const other = await stopping([0.2, 0.1, 0.3], { patience: 2, metric: 'recall@10' });
  assert.is(other.best, 2);
  assert.is(other.stop, 'no better recall@10 in 3 epochs');
});

test('the last epoch may be the one that patience ends at', async () => {
  const { epochs, stop } = await stopping([0.2, 0.1], { patience: 1, epochs: 3 });
  assert.is(epochs, 3);
  assert.is(stop, 'no better ndcg@10 in 2 epochs');
});

test('an epoch is recorded with its mean loss, metrics and times', async () => {
  const { records } = await stopping([0.25, 0.5], { epochs: 2 });
  assert.equal(
    records.map((r) => [r.epoch, r.valid['ndcg@10'], r.learningRate]),
    [
      [1, 0.25, 1e-3],
      [2, 0.5, 1e-3],
    ],
  );
  for (const { loss, trainSeconds, evalSeconds } of records) {
    // 13 items: about log 13 = 2.56 at the start.
    assert.ok(loss > 2 && loss < 3, String(loss));
    assert.ok(trainSeconds > 0 && evalSeconds >= 0);
  }
});

test('training learns', async () => {
  const { trainer, built } = trainerOf({ settings: { epochs: 60, learningRate: 0.02 } });
  const { records } = await runWith(trainer, () => 0);
  assert.ok(records[59].loss < 0.6 * records[0].loss, `${records[0].loss} -> ${records[59].loss}`);
  built.parameters.dispose();
});

for (const variant of variants()) {
  test(`${variant.name}: a learning rate beyond reason is said`, async () => {
    const { trainer, built } = trainerOf({ variant, settings: { learningRate: 1e20 } });
    const error = await runWith(trainer, () => 0).then(
      () => undefined,
      (reason: unknown) => reason,
    );
    assert.instance(error, UserError);
    const { message } = error as UserError;
    assert.match(
      message,
      /^training diverged: the loss is (NaN|-?Infinity) at epoch \d+, step \d+; lower train\.learningRate/,
    );
    assert.match(message, '(now 100000000000000000000)');
    assert.match(message, 'train.clipNorm');
    await trainer.close();
    built.parameters.dispose();
  });
}

test('schedules reach the optimizer, over all steps of all epochs', async () => {
  const rates = async (settings: Record<string, unknown>) => {
    const { trainer, built } = trainerOf({ settings: { epochs: 4, learningRate: 1, ...settings } });
    const outcome: Outcome = await runWith(trainer, () => 0);
    built.parameters.dispose();
    assert.is(outcome.rates.length, trainer.optimizer.steps);
    return outcome.rates;
  };
  const constant = await rates({});
  const n = constant.length;
  assert.ok(n >= 8);
  assert.ok(constant.every((r) => r === 1));
  const near = (actual: number[], expected: (step: number) => number) =>
    actual.forEach((rate, i) => {
      assert.ok(
        Math.abs(rate - expected(i + 1)) < 1e-9,
        `step ${i + 1}: ${rate}, expected ${expected(i + 1)}`,
      );
    });
  near(await rates({ warmupSteps: 4 }), (s) => Math.min(1, s / 4));
  near(await rates({ schedule: 'linear' }), (s) => (n - s + 1) / n);
  near(await rates({ schedule: 'linear', warmupSteps: 3 }), (s) => (s <= 3 ? s / 3 : (n - s + 1) / (n - 3)));
  near(await rates({ schedule: 'cosine' }), (s) => (1 + Math.cos((Math.PI * s) / n)) / 2);
});

test('weight decay and clipping reach the optimizer', async () => {
  const moved = async (settings: Record<string, unknown>) => {
    const { trainer, built } = trainerOf({ settings: { epochs: 1, batchSize: 64, ...settings } });
    const before = built.parameters.snapshot();
    await runWith(trainer, () => 0);
    assert.is(trainer.optimizer.steps, 1);
    let change = 0;
    let largest = 0;
    for (const { name, values } of built.parameters.all())
      values.forEach((x, i) => {
        change = Math.max(change, Math.abs(x - before.get(name)!.data[i]));
        largest = Math.max(largest, Math.abs(x));
      });
    built.parameters.dispose();
    return { change, largest };
  };
  // Adam's first step moves by the learning rate, whatever the gradient, unless that drowns in epsilon.
  assert.ok(Math.abs((await moved({})).change - 1e-3) < 1e-5);
  assert.ok((await moved({ clipNorm: 1e-10 })).change < 2e-5);
  assert.ok(Math.abs((await moved({ clipNorm: 1 })).change - 1e-3) < 1e-5);
  // A decay of 1 / learning rate takes all weights away: the step alone remains.
  assert.ok((await moved({ optimizer: 'adamw', weightDecay: 1000 })).largest < 1.1e-3);
  assert.ok((await moved({ optimizer: 'adamw' })).largest > 1e-2);
});

test('frozen parameters stay, the rest moves', async () => {
  const unisrec = variantNamed('unisrec inductive shared');
  const variant = { ...unisrec, settings: { ...unisrec.settings, freezeSequence: true } };
  const { trainer, built } = trainerOf({
    variant,
    settings: { epochs: 3, optimizer: 'adamw', weightDecay: 0.1 },
  });
  const before = built.parameters.snapshot();
  await runWith(trainer, () => 0);
  let frozen = 0;
  for (const { name, values } of built.parameters.all()) {
    const same = values.every((x, i) => x === before.get(name)!.data[i]);
    assert.is(same, name.startsWith('transformer.'), name);
    if (same) frozen++;
  }
  assert.ok(frozen > 10);
  built.parameters.dispose();
});

test('one seed, one outcome, with one thread or two; another seed, another', async () => {
  const outcome = async (seed: number, threads: number, name: string) => {
    const { trainer, built } = trainerOf({
      variant: variantNamed(name),
      settings: { epochs: 2 },
      seed,
      threads,
    });
    const { records } = await runWith(trainer, () => 0);
    const values = [...built.parameters.snapshot().values()].map((t) => t.data);
    built.parameters.dispose();
    return { losses: records.map((r) => r.loss), values };
  };
  for (const name of ['gru4rec', 'sasrec', 'unisrec pretrain shared']) {
    const one = await outcome(1, 1, name);
    assert.equal(await outcome(1, 1, name), one);
    assert.equal(await outcome(1, 2, name), one);
    assert.not.equal((await outcome(2, 1, name)).losses, one.losses);
  }
});

test('rows and windows train alike without dropout', async () => {
  const losses = async (windows: string) => {
    const gru4rec = variantNamed('gru4rec');
    const variant = { ...gru4rec, settings: { ...gru4rec.settings, dropout: 0 } };
    const { trainer, built } = trainerOf({
      variant,
      settings: { epochs: 5, batchSize: 100, windows },
      lengths: [5, 19, 3, 4],
    });
    const { records } = await runWith(trainer, () => 0);
    built.parameters.dispose();
    return records.map((r) => r.loss);
  };
  const [rows, grouped] = [await losses('rows'), await losses('grouped')];
  for (const [i, loss] of rows.entries())
    assert.ok(Math.abs(loss - grouped[i]) < 1e-5 * loss, `epoch ${i + 1}: ${loss}, ${grouped[i]}`);
});

test('a dataset without training rows is said', () => {
  assert.throws(
    () => trainerOf({ lengths: [1, 1] }),
    (error: Error) => error instanceof UserError && /no rows to train on/.test(error.message),
  );
});

test.run();
