import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Progress } from '../../../common/progress.ts';
import { seeded } from '../../../common/random.ts';
import { cpuDevice, type Device, type HostTensor } from '../../../engine/index.ts';
import { rankAll } from '../../../evaluation/ranking.ts';
import type { RankingOptions } from '../../../evaluation/tally.ts';
import { CardPlaces } from '../../../training/card-places.ts';
import { PlaceFinder } from '../../../training/places.ts';
import { ModelScorer } from '../../../training/scorer.ts';
import { TopFinder } from '../../../training/tops.ts';
import { build, stir, textFor, type Variant, variants } from '../../models/support.ts';
import { randomDataset } from '../../training/support.ts';
import { webgpuHere } from './support.ts';

const MAX_HISTORY = 12;
const webgpu = await webgpuHere();

async function metricsOf(variant: Variant, device: Device) {
  const built = build(variant, { maxHistory: MAX_HISTORY });
  stir(built);
  const dataset = randomDataset([4, 30, 2, 9, 14]);
  const scorer = new ModelScorer(built.model, dataset, textFor(variant), MAX_HISTORY, { ...built, device });
  await scorer.refresh();
  const options = { topk: [1, 5], filterSeen: true, lists: false, batchSize: 16, progress: new Progress() };
  const { metrics } = await rankAll(dataset, dataset.test, scorer, options as RankingOptions);
  await scorer.close();
  built.parameters.dispose();
  return metrics;
}

for (const variant of webgpu ? variants() : []) {
  test(`${variant.name}: ranks on webgpu are those of cpu`, async () => {
    assert.equal(await metricsOf(variant, webgpu!), await metricsOf(variant, cpuDevice({ threads: 1 })));
  });
}

if (webgpu) {
  test('places and short lists come from the card without a look at the scores', async () => {
    const random = seeded('card');
    const [items, d, rows] = [5000, 24, 60];
    const table = Float32Array.from({ length: items * d }, () => random.normal());
    const candidates: HostTensor = { dtype: 'float32', shape: [items, d], data: table, frozen: true };
    const queries = table.slice(0, rows * d).map((x) => x + random.normal());
    const targets = Int32Array.from({ length: rows }, (_, i) => i);
    const seen = { offsets: new Int32Array(rows + 1), items: new Int32Array() };
    const found: { ranks: number[]; tops: number[] }[] = [];
    for (const device of [webgpu, cpuDevice({ threads: 1 })]) {
      const places = device.resident ? new CardPlaces({ device }) : new PlaceFinder({ device });
      const tops = new TopFinder({ device });
      places.follow(candidates);
      tops.follow(candidates);
      const { ranks } = await places.find(queries, targets, seen, 64);
      const { items: listed, width } = (await tops.find(queries, 4))!;
      const sorted = Array.from({ length: rows }, (_, i) => listed.slice(i * width, (i + 1) * width).sort());
      found.push({ ranks: [...ranks], tops: sorted.flatMap((list) => [...list]) });
      await places.close();
      await tops.close();
    }
    found[0].ranks.forEach((rank, row) => {
      // Scores a rounding apart may change places.
      assert.ok(found[1].ranks[row] < 0 || Math.abs(rank - found[1].ranks[row]) <= 1, `row ${row}: ${rank}`);
    });
    assert.equal(found[0].tops, found[1].tops);
  });
}

test.run();
