import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { UserError } from '../common/errors.ts';
import { lossSettings } from '../configs/train-settings.ts';
import {
  compile,
  cpuDevice,
  type Device,
  openDevice,
  openOptimizer,
  type Probe,
  probeDevice,
  tf,
} from '../engine/index.ts';
import { models } from '../models/index.ts';
import { randomRows } from './contract/rows.ts';
import { batchesOf, build, difference, ITEMS, variantsOf } from './contract/variants.ts';
import { trainingStep } from './step.ts';

/** How far a device is from the cpu device in training a small SASRec, dropout included. */
export interface DeviceCheck {
  /** Largest relative difference of the losses of some steps. */
  loss: number;
  /** Largest difference of an element of the first step's gradient, relative to the largest element; 0 where it stays on the device. */
  gradient: number;
  /** The device's own words. */
  device: string;
  /** Matrix products, thousand million operations a second. */
  gflops: number;
}

const STEPS = 3;
/** Differences that float32 explains. */
const LIMIT = 1e-4;

/** Trains some steps on a device and on the cpu device. @throws UserError where they disagree */
export async function checkDevice(name: string): Promise<DeviceCheck> {
  const device = await openDevice(name, { threads: 1 });
  const [own, reference] = [await train(device), await train(cpuDevice({ threads: 1 }))];
  const losses = own.losses.map((loss, i) => Math.abs(loss / reference.losses[i] - 1));
  const gradient = own.gradients.size ? difference(own.gradients, reference.gradients).error : 0;
  const gflops = await productSpeed(await openDevice(name));
  const check = { loss: Math.max(...losses), gradient, device: device.reason, gflops };
  if (check.loss <= LIMIT && check.gradient <= LIMIT) return check;
  throw new UserError(
    `device '${name}' computes other numbers than 'cpu': losses differ by ${check.loss}, gradients by ${gradient}`,
  );
}

async function train(device: Device) {
  const [variant] = variantsOf(models.trained().find(({ name }) => name === 'sasrec')!);
  const built = build(variant);
  const { parameters } = built;
  const step = trainingStep({
    ...built,
    dataset: { itemCount: ITEMS, train: randomRows([], 1, ITEMS).rows },
    text: undefined,
    loss: lossSettings.parse({}),
    parts: 1,
    seed: 1,
    device,
  });
  const optimizer = openOptimizer(parameters, { type: 'adam', learningRate: 0.01 }, device);
  const [batch] = batchesOf([5, 9, 3, 4], { mode: 'grouped', batchSize: 40 });
  const losses: number[] = [];
  const gradients = new Map<string, Float32Array>();
  for (let i = 0; i < STEPS; i++) {
    losses.push((await step.run(batch, { seed: 1, step: i })).loss);
    if (i === 0 && !device.optimizer)
      for (const { name } of parameters.trainable())
        gradients.set(name, parameters.view(name, 'gradient').slice());
    await optimizer.step();
  }
  await step.close();
  return { losses, gradients };
}

const SIZE = 1024;
const PRODUCTS = 8;
const SECONDS = 1;

/** GFLOP/s of products of square matrices, one after the other in one graph: what goes in and out is little beside them. */
async function productSpeed(device: Device): Promise<number> {
  const run = compile(
    ({ a, b }) => {
      let product = a as tf.Tensor2D;
      for (let i = 0; i < PRODUCTS; i++) product = tf.matMul(product, b as tf.Tensor2D);
      return { sum: tf.sum(product) };
    },
    { device },
  );
  const shape = [SIZE, SIZE];
  const matrix = { dtype: 'float32' as const, shape, data: new Float32Array(SIZE * SIZE).fill(1 / SIZE) };
  // Compiles.
  await run({ a: matrix, b: matrix });
  const started = performance.now();
  let done = 0;
  let seconds = 0;
  while (seconds < SECONDS) {
    await run({ a: matrix, b: matrix });
    done += PRODUCTS;
    seconds = (performance.now() - started) / 1000;
  }
  await run.close();
  return (done * 2 * SIZE ** 3) / seconds / 1e9;
}

/** What a device comes to on this machine; `check` where it works. */
export interface Examined extends Probe {
  check?: DeviceCheck;
}

/** Whether a device works here and trains as the cpu device does. @throws UserError where it does not */
export async function examineDevice(name: string): Promise<Examined> {
  const probe = await probeDevice(name);
  return probe.works ? { ...probe, check: await checkDevice(name) } : probe;
}

/** The same in a process of its own: a native library may end the process that loads it. */
export async function examineDeviceApart(name: string): Promise<Examined> {
  const file = fileURLToPath(new URL('./device-check-child.js', import.meta.url));
  const child = spawn(process.execPath, [file, name], { stdio: ['ignore', 'pipe', 'pipe'] });
  const ended = once(child, 'close') as Promise<[code: number | null, signal: string | null]>;
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)]);
  const [code, signal] = await ended;
  if (signal) throw new UserError(`the library ended its process with ${signal}`);
  if (code !== 0) throw new UserError(stderr.trim() || `its process ended with exit code ${code}`);
  const answer = JSON.parse(stdout.trim().split('\n').at(-1)!) as { examined: Examined } | { error: string };
  if ('error' in answer) throw new UserError(answer.error);
  return answer.examined;
}
