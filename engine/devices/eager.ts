import { messageOf, UserError } from '../../common/errors.ts';
import { type Compiled, type Feeds, gradientName, gradientOf, type Program } from '../compile.ts';
import { withRandomness } from '../eager.ts';
import { modelLine } from '../explain.ts';
import { allocate, type DType, type HostArray, type HostTensor, sizeOf } from '../graph.ts';
import type { Parameters } from '../parameters.ts';
import { tensorOf, tf } from '../tf.ts';
import type { Device, DeviceOptions } from './contract.ts';
import { cpuDevice } from './cpu.ts';

/** A device that runs functions as they are called, operation by operation, on a registered tfjs backend. */
export function eagerDevice(
  backend: string,
  options: DeviceOptions = {},
  { name = backend, reason = 'as asked' } = {},
): Device {
  const { threads, load } = cpuDevice(options);
  const compile = (program: Program) => eagerly(program, backend);
  return { name, reason, threads, inHostMemory: false, eager: true, load, compile };
}

/**
 * Runs a program on a tfjs backend. Parameters stay in host memory, where the optimizer writes them: the backend has
 * them for the time of a call.
 */
function eagerly({ fn, parameters, differentiation }: Program, backend: string): Compiled {
  if (differentiation) parameters.segments();
  /** Inputs that nobody writes to any more stay on the backend. */
  const frozen = new Map<string, { data: HostArray; tensor: tf.Tensor }>();
  const drop = (name: string) => {
    frozen.get(name)?.tensor.dispose();
    frozen.delete(name);
  };
  const take = (name: string, feed: HostTensor): tf.Tensor => {
    const { data } = feed;
    const known = frozen.get(name);
    if (feed.frozen && known?.data === data) return known.tensor;
    drop(name);
    const tensor = tensorOf(feed);
    if (feed.frozen) frozen.set(name, { data, tensor: tf.keep(tensor) });
    return tensor;
  };

  const run = (feeds: Feeds): Record<string, HostTensor> => {
    const host = tf.getBackend();
    tf.setBackend(backend);
    tf.engine().startScope();
    const giveBack = lend(parameters, host, backend);
    try {
      const inputs = Object.entries(feeds).map(([name, feed]) => [name, take(name, feed)] as const);
      return read(fn(Object.fromEntries(inputs)), feeds);
    } catch (error) {
      throw explain(error, backend);
    } finally {
      tf.engine().endScope();
      giveBack();
      tf.setBackend(host);
    }
  };

  const read = (outputs: Record<string, tf.Tensor>, feeds: Feeds): Record<string, HostTensor> => {
    // An output that is an input or a parameter itself may come in the memory of these.
    const taken = new Set<unknown>([...Object.values(feeds), ...parameters.all()].map(memoryOf));
    const results: Record<string, HostTensor> = {};
    for (const [name, t] of Object.entries(outputs)) {
      const data = t.dataSync() as HostArray;
      results[name] = {
        dtype: t.dtype as DType,
        shape: t.shape,
        data: taken.has(data) ? data.slice() : data,
      };
    }
    return results;
  };

  /** Brings the parameters' gradients to where the optimizer finds them, and makes those that the loss does not have. */
  const settle = (results: Record<string, HostTensor>, feeds: Feeds): void => {
    if (!differentiation) return;
    for (const { name, lazy } of parameters.trainable()) {
      if (lazy) continue;
      const home = parameters.view(name, 'gradient');
      const gradient = results[gradientName(name)]?.data;
      delete results[gradientName(name)];
      if (!differentiation.accumulate) home.fill(0);
      if (gradient) for (let i = 0; i < home.length; i++) home[i] += gradient[i];
    }
    for (const input of differentiation.inputs) {
      const spec = { dtype: 'float32', shape: feeds[input].shape } as const;
      results[gradientOf(input)] ??= { ...spec, data: allocate(spec) };
    }
  };

  const call: Compiled = async (feeds, randomness = { seed: 0, step: 0 }, after) => {
    // Nothing below waits. Without a turn of the event loop, a loop of calls would keep timers and messages waiting.
    await Promise.all([new Promise(setImmediate), after]);
    parameters.follow();
    for (const [name, { data, shape }] of Object.entries(feeds))
      if (data.length !== sizeOf(shape))
        throw new UserError(`'${name}' of shape [${shape}] was given ${data.length} elements`);
    const results = withRandomness(randomness, () => run(feeds));
    settle(results, feeds);
    return results;
  };
  call.close = async () => {
    for (const name of [...frozen.keys()]) drop(name);
  };
  return call;
}

const memoryOf = (t: { data: HostArray } | { values: Float32Array }) => ('data' in t ? t.data : t.values);

/**
 * Moves the variables to another backend, which copies their values at their first use, if at all.
 * @returns what moves them back; their memory is then the same as before
 */
function lend(parameters: Parameters, host: string, backend: string): () => void {
  if (host === backend) return () => {};
  const [from, to] = [host, backend].map((name) => tf.engine().findBackend(name));
  const all = parameters.all();
  for (const { dataId } of all) tf.engine().moveData(to, dataId);
  return () => {
    for (const { dataId, shape, values } of all) {
      // Moving reads values: those that were never copied are read as they are.
      to.disposeData(dataId, true);
      to.move(dataId, values, [...shape], 'float32', 1);
      tf.engine().moveData(from, dataId);
    }
  };
}

function explain(error: unknown, backend: string): unknown {
  if (error instanceof UserError) return error;
  const message = messageOf(error);
  const stack = error instanceof Error ? error.stack : undefined;
  const kernel = /Kernel '(\w+)' not registered/.exec(message);
  if (kernel)
    return new UserError(
      `tfjs's backend '${backend}' does not have the operation '${kernel[1]}'${modelLine(stack)}`,
      { cause: error },
    );
  if (/OOM when allocating|out of memory|RESOURCE_EXHAUSTED/i.test(message))
    return new UserError(
      `${backend} ran out of memory; lower train.batchSize, or the model's sizes (${message})`,
      { cause: error },
    );
  return new UserError(`a model function failed on ${backend}${modelLine(stack)}: ${message}`, {
    cause: error,
  });
}
