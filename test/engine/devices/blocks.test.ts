import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { seeded } from '../../../common/random.ts';
import { lossSettings } from '../../../configs/train-settings.ts';
import { webgpuDevice } from '../../../engine/devices/webgpu/index.ts';
import { cpuDevice, type Device, type HostTensor, openOptimizer, Parameters } from '../../../engine/index.ts';
import { CardPlaces } from '../../../training/card-places.ts';
import { trainingStep } from '../../../training/step.ts';
import { difference, ITEMS, stir, TEXT_DIMS, type Variant, variants } from '../../models/support.ts';
import { takeSteps } from '../../training/support.ts';
import { matmul } from '../cases/matmul.ts';
import { agreeWithEager } from '../support/agree.ts';
import { webgpuHere } from './support.ts';

const STEPS = 3;
const webgpu = await webgpuHere();

interface Way {
  way: string;
  items: number;
  /** What is cut. */
  blockBytes: number;
  loss?: object;
  chunks?: { largeCatalogue: number; chunkItems: number };
}

const random = seeded('blocks');
const matrix = (shape: [number, number]): HostTensor => {
  const data = Float32Array.from({ length: shape[0] * shape[1] }, () => random.normal());
  return { dtype: 'float32', shape, data, frozen: true };
};

async function course({ definition, settings }: Variant, text: HostTensor, way: Way, device: Device) {
  const parameters = new Parameters({ seed: 1 });
  const context = { itemCount: way.items, textDims: TEXT_DIMS, maxHistory: 12, parameters };
  const model = definition.build(definition.config.parse(settings), context);
  stir({ model, parameters });
  const none = { user: new Int32Array(), start: new Int32Array(), end: new Int32Array() };
  const train = { ...none, target: Int32Array.from({ length: 40 }, (_, i) => (i * i) % ITEMS) };
  const step = trainingStep(
    {
      ...{ model, parameters, device, parts: 1, seed: 1 },
      dataset: { itemCount: way.items, train },
      text: definition.input === 'id' ? undefined : text,
      loss: lossSettings.parse(way.loss ?? {}),
    },
    way.chunks,
  );
  const optimizer = openOptimizer(parameters, { type: 'adam', learningRate: 1e-3 }, device);
  const losses = await takeSteps(step, optimizer, STEPS);
  await parameters.fetch();
  await step.close();
  const all = parameters.all();
  return {
    losses,
    values: new Map(all.map(({ name, values }) => [name, values.slice()])),
    gradients: new Map(all.map(({ name }) => [name, parameters.view(name, 'gradient').slice()])),
  };
}

// With 64 bytes, weights of layers and activations are cut as well; with 20,000 the tables of items alone.
const ways: Way[] = [
  { way: 'full softmax', items: ITEMS, blockBytes: 64 },
  { way: 'sampled softmax', items: 3000, blockBytes: 20_000, loss: { type: 'sampled', negatives: 2 } },
];
/** Vectors of chunks stay on the card: with 32 bytes row by row. */
const chunked = [32, 2000].map((blockBytes) => ({
  way: 'items in chunks',
  items: ITEMS,
  blockBytes,
  chunks: { largeCatalogue: 1, chunkItems: 5 },
}));
for (const model of webgpu ? ['sasrec', 'sasrec-text', 'unisrec'] : [])
  for (const way of model === 'sasrec' ? ways : [...ways, ...chunked])
    test(`${model}, ${way.way}: in blocks of ${way.blockBytes} bytes, training goes as it does in one piece`, async () => {
      const variant = variants().find(({ definition }) => definition.name === model)!;
      const text = matrix([way.items, TEXT_DIMS]);
      const whole = await course(variant, text, way, way.chunks ? cpuDevice({ threads: 1 }) : webgpu!);
      const device = webgpuDevice({ strict: true, blockBytes: way.blockBytes });
      const cut = await course(variant, { ...text, data: text.data.slice() }, way, device);
      for (const [i, loss] of whole.losses.entries())
        assert.ok(Math.abs(cut.losses[i] / loss - 1) < 1e-5, `step ${i + 1}: ${cut.losses[i]}, not ${loss}`);
      for (const [name, values] of whole.values)
        for (const [i, value] of values.entries()) {
          const found = cut.values.get(name)![i];
          assert.ok(Math.abs(found - value) < 1e-4, `${name}[${i}]: ${found}, not ${value}`);
        }
      const { error, name } = difference(cut.gradients, whole.gradients);
      assert.ok(error < 1e-3, `gradient of ${name} is off by ${error} of the largest`);
    });

if (webgpu) {
  test('ranks among candidates in blocks are those among candidates in one piece', async () => {
    const [items, d, rows] = [3000, 8, 40];
    const candidates = matrix([items, d]);
    const queries = matrix([rows, d]).data as Float32Array;
    const targets = Int32Array.from({ length: rows }, (_, i) => (i * 77) % items);
    const seen = {
      offsets: Int32Array.from({ length: rows + 1 }, (_, i) => i),
      items: targets.map((id) => id + 1),
    };
    const ranksOn = async (device: Device) => {
      const places = new CardPlaces({ device });
      places.follow({ ...candidates, data: candidates.data.slice() });
      const found = await places.find(queries, targets, seen, 2);
      await places.close();
      return found;
    };
    assert.equal(await ranksOn(webgpuDevice({ strict: true, blockBytes: 40_000 })), await ranksOn(webgpu));
  });

  test('products of small blocks are those of whole matrices', async () => {
    for (const blockBytes of [32, 64]) await agreeWithEager(matmul, [webgpuDevice({ blockBytes })]);
  });
}

test.run();
