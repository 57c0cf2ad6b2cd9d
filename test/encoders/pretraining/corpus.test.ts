import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { seeded } from '../../../common/random.ts';
import { planBatches, TokenStore } from '../../../encoders/pretraining/corpus.ts';
import { maskTokens } from '../../../encoders/pretraining/masking.ts';

test('tokens come back as they went in, whatever the vocabulary', () => {
  for (const size of [300, 70_000]) {
    const store = new TokenStore(size);
    const texts = Array.from({ length: 3000 }, (_, i) =>
      Array.from({ length: i % 60 }, (_, j) => (i * 31 + j * 997) % size),
    );
    for (const text of texts) store.push(text);
    assert.is(store.count, 3000);
    texts.forEach((text, i) => {
      assert.equal([...store.get(i)], text);
      assert.is(store.length(i), text.length);
    });
  }
});

test('an epoch has each pair at most once, in batches of one size, in another order every time', () => {
  const itemOf = Int32Array.from({ length: 103 }, (_, i) => i % 9);
  const plan = planBatches(itemOf, 10, seeded(1), false);
  assert.is(plan.length, 10);
  assert.is(new Set(plan.flatMap((batch) => [...batch])).size, 100);
  assert.not.equal([...plan[0]], [...planBatches(itemOf, 10, seeded(2), false)[0]]);
});

test('with distinct items no batch has an item twice, and few pairs are left out', () => {
  const random = seeded('items');
  // Some items are much more frequent than others, as reviews are.
  const itemOf = Int32Array.from({ length: 2000 }, () => Math.floor(150 * random.uniform() ** 2));
  const plan = planBatches(itemOf, 32, seeded(1), true);
  for (const batch of plan) {
    assert.is(batch.length, 32);
    assert.is(new Set([...batch].map((pair) => itemOf[pair])).size, 32);
  }
  const used = plan.flatMap((batch) => [...batch]);
  assert.is(new Set(used).size, used.length);
  assert.ok(used.length > 0.75 * itemOf.length, `${used.length} of ${itemOf.length}`);
});

test('15% of the tokens are chosen; of these 80% are masked, 10% replaced, 10% kept; special tokens never', () => {
  const vocabulary = { size: 1000, maskId: 999, special: new Set([0, 1, 2]) };
  const ids = Int32Array.from({ length: 200_000 }, (_, i) => (i % 10 === 0 ? i % 3 : 3 + (i % 900)));
  const { ids: masked, positions, targets, count } = maskTokens(ids, vocabulary, 0.15, seeded(4));
  const words = 180_000;
  assert.ok(Math.abs(count / words - 0.15) < 0.005);
  const fates = { masked: 0, kept: 0, replaced: 0 };
  for (let i = 0; i < count; i++) {
    const at = positions[i];
    assert.is(targets[i], ids[at]);
    assert.not.ok(vocabulary.special.has(ids[at]));
    if (masked[at] === 999) fates.masked++;
    else if (masked[at] === ids[at]) fates.kept++;
    else fates.replaced++;
  }
  assert.ok(Math.abs(fates.masked / count - 0.8) < 0.01);
  assert.ok(Math.abs(fates.kept / count - 0.1) < 0.01);
  assert.ok(Math.abs(fates.replaced / count - 0.1) < 0.01);
  const chosen = new Set(positions.subarray(0, count));
  for (const [i, id] of masked.entries()) assert.ok(chosen.has(i) || id === ids[i]);
  assert.not.equal(maskTokens(ids, vocabulary, 0.15, seeded(5)).positions, positions);
});

test.run();
