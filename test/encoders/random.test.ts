import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Progress } from '../../common/progress.ts';
import { embedTexts, encoders } from '../../encoders/index.ts';

const embed = (settings: Record<string, unknown>, rows = 50) => {
  const entry = encoders.get('random');
  const context = { seed: 1, threads: 1, progress: new Progress() };
  return embedTexts({ entry, name: 'random', settings: entry.config.parse(settings), rows }, context);
};

test('vectors of the size, spread and number asked for, without any text', async () => {
  const { rows, dims, values } = await embed({ dims: 64, scale: 2 }, 5000);
  assert.equal([rows, dims, values.length], [5000, 64, 320_000]);
  const mean = values.reduce((a, b) => a + b, 0) / values.length;
  const spread = Math.sqrt(values.reduce((sum, x) => sum + (x - mean) ** 2, 0) / values.length);
  assert.ok(Math.abs(mean) < 0.02 && Math.abs(spread - 2) < 0.02, `${mean} ${spread}`);
  assert.not.equal(values.subarray(0, 64), values.subarray(64, 128));
});

test('a seed gives the same vectors again, another one others', async () => {
  const [a, b, c] = [await embed({ dims: 4 }), await embed({ dims: 4 }), await embed({ dims: 4, seed: 2 })];
  assert.equal(a.values, b.values);
  assert.is(a.hash, b.hash);
  assert.not.equal(a.values, c.values);
  assert.not.equal(a.hash, c.hash);
});

test.run();
