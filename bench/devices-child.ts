import { createInterface } from 'node:readline';
import { messageOf } from '../common/errors.ts';
import { Progress } from '../common/progress.ts';
import { dataSettings, loadDataset, resolveSource } from '../data/index.ts';
import { encoders, type TextEncoder } from '../encoders/index.ts';
import { type Device, type DeviceOptions, openDevice, probeDevice } from '../engine/index.ts';
import { type Opened, shapeNamed, type Turn } from './devices.ts';
import { syntheticBatch } from './step-shapes.ts';
import { BATCHES, OwnSide } from './step-sides.ts';

/** Takes training steps and embeds texts on one device, as it is asked; argv is the device and its options. */
const [name, given] = process.argv.slice(2);
const options = JSON.parse(given) as DeviceOptions;
const progress = new Progress();
const say = (answer: object) => process.stdout.write(`${JSON.stringify(answer)}\n`);

const { why, card } = await probeDevice(name);
if (name === 'webgpu' && !card) {
  // A software driver takes minutes for a step.
  say({ error: why } satisfies Opened);
  process.exit(0);
}
const device = await openDevice(name, options).catch((error) => {
  say({ error: messageOf(error) } satisfies Opened);
  process.exit(0);
});
say({ reason: device.reason } satisfies Opened);

const sides = new Map<string, OwnSide>();
let encoder: TextEncoder | undefined;
let texts: string[] = [];
for await (const line of createInterface({ input: process.stdin })) {
  const turn = JSON.parse(line) as Turn;
  say(
    'shape' in turn ? await sideOf(turn.shape, device).steps(turn.steps) : await encode(turn.texts, device),
  );
}
process.exit(0);

function sideOf(shapeName: string, device: Device): OwnSide {
  const shape = shapeNamed(shapeName);
  const known = sides.get(shapeName);
  const batches = Array.from({ length: BATCHES }, (_, i) => syntheticBatch(shape, i));
  const side = known ?? new OwnSide(shape, batches, device);
  sides.set(shapeName, side);
  return side;
}

async function encode(count: number, device: Device): Promise<{ seconds: number }> {
  const family = encoders.get('roberta');
  const settings = family.config.parse({ model: 'rec/blair-mini', pooling: 'mean', normalize: 'l2' });
  encoder ??= await family.open(settings, { seed: 1, threads: options.threads ?? 0, progress, device });
  const demo = () => loadDataset(resolveSource('demo'), dataSettings.parse({}), { progress, seed: 1 });
  if (!texts.length)
    texts = [...(await demo()).itemTexts!.slice(0, count)].sort((a, b) => b.length - a.length);
  const started = performance.now();
  await encoder.embed(texts, async () => {});
  return { seconds: (performance.now() - started) / 1000 };
}
