import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { partsOf } from '../../data/batch-parts.ts';
import { type Batch, Batches } from '../../data/batches.ts';
import { planWindows } from '../../data/windows.ts';
import { randomRows } from './rows-support.ts';

/** Every counted target: the history that it follows, itself, its weight. */
function targetsOf({ history, length, lengths, positions, target, weight }: Batch) {
  return [...weight.keys()]
    .filter((t) => weight[t] > 0)
    .map((t) => {
      const row = Math.floor(positions[t] / length);
      assert.ok(positions[t] < row * length + lengths[row], 'a target after padding');
      return [[...history.subarray(row * length, positions[t] + 1)], target[t], weight[t]];
    });
}

for (const mode of ['rows', 'grouped'] as const)
  test(`parts hold every target of a batch once, ${mode}`, () => {
    const { pool, rows } = randomRows([2, 3, 5, 15, 4, 9, 2, 3, 7, 7, 2], 1, 13);
    const plan = new Batches(pool, planWindows(rows, 6, mode), 10).epoch(1, 1);
    for (let i = 0; i < plan.count; i++) {
      const batch = plan.batch(i);
      for (const count of [1, 2, 3]) {
        const parts = partsOf(batch, count);
        assert.equal(parts.flatMap(targetsOf).map(String).sort(), targetsOf(batch).map(String).sort());
        assert.is(
          parts.reduce((sum, part) => sum + part.rows, 0),
          batch.rows,
        );
        assert.is(
          parts.reduce((sum, part) => sum + part.targetCount, 0),
          batch.targetCount,
        );
        for (const part of parts) {
          assert.is(part.history.length, part.rows * part.length);
          assert.is(part.lengths.length, part.rows);
          if (part.single) assert.is(part.positions.length, part.rows);
          assert.ok(part.positions.every((p) => p < part.rows * part.length));
        }
      }
    }
  });

test.run();
