import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { UserError } from '../common/errors.ts';
import { lossSettings } from '../configs/train-settings.ts';
import { cpuDevice, type Device, Optimizer, openDevice } from '../engine/index.ts';
import { models } from '../models/index.ts';
import { randomRows } from './contract/rows.ts';
import { batchesOf, build, difference, ITEMS, variantsOf } from './contract/variants.ts';
import { trainingStep } from './step.ts';

/** How far a device is from the cpu device in training a small SASRec, dropout included. */
export interface DeviceCheck {
  /** Largest relative difference of the losses of some steps. */
  loss: number;
  /** Largest difference of an element of the first step's gradient, relative to the largest element. */
  gradient: number;
  /** The device's own words. */
  device: string;
}

const STEPS = 3;
/** Differences that float32 explains. */
const LIMIT = 1e-4;

/** Trains some steps on a device and on the cpu device. @throws UserError where they disagree */
export async function checkDevice(name: string): Promise<DeviceCheck> {
  const device = await openDevice(name, { threads: 1 });
  const [own, reference] = [await train(device), await train(cpuDevice({ threads: 1 }))];
  const losses = own.losses.map((loss, i) => Math.abs(loss / reference.losses[i] - 1));
  const gradient = difference(own.gradients, reference.gradients).error;
  const check = { loss: Math.max(...losses), gradient, device: device.reason };
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
  const optimizer = new Optimizer(parameters, { type: 'adam', learningRate: 0.01 });
  const [batch] = batchesOf([5, 9, 3, 4], { mode: 'grouped', batchSize: 40 });
  const losses: number[] = [];
  const gradients = new Map<string, Float32Array>();
  for (let i = 0; i < STEPS; i++) {
    losses.push((await step.run(batch, { seed: 1, step: i })).loss);
    if (i === 0)
      for (const { name } of parameters.trainable())
        gradients.set(name, parameters.view(name, 'gradient').slice());
    optimizer.step();
  }
  await step.close();
  return { losses, gradients };
}

/** The same in a process of its own: a native library may end the process that loads it. */
export async function checkDeviceApart(name: string): Promise<DeviceCheck> {
  const file = fileURLToPath(new URL('./device-check-child.js', import.meta.url));
  const child = spawn(process.execPath, [file, name], { stdio: ['ignore', 'pipe', 'pipe'] });
  const ended = once(child, 'close') as Promise<[code: number | null, signal: string | null]>;
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)]);
  const [code, signal] = await ended;
  if (code === 0) return JSON.parse(stdout) as DeviceCheck;
  throw new UserError(
    signal ? `the library ended its process with ${signal}` : stderr.trim() || `exit code ${code}`,
  );
}
