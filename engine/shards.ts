import { type Compiled, compileGradients, type Feeds, type GradientOptions, type Inputs } from './compile.ts';
import type { Device } from './devices/contract.ts';
import { cpuDevice } from './devices/cpu.ts';
import type { HostTensor } from './graph.ts';
import type { Randomness } from './random.ts';
import type { tf } from './tf.ts';
import { openThread, type ThreadDevice } from './thread.ts';

/** A loss over several parts of a batch. */
export interface Sharded {
  /**
   * Leaves the sum of the parts' gradients where an Optimizer finds it. A part's random draws are those of its number.
   * @returns the sums of the parts' losses and of the gradients of inputs, valid until the next call
   */
  (parts: readonly Feeds[], randomness: Randomness): Promise<Record<string, HostTensor>>;
  close(): Promise<void>;
}

export type ShardOptions = Omit<GradientOptions, 'accumulate' | 'threads'> & { device: Device };

/**
 * Compiles a loss that is a sum over parts of a batch, to be computed side by side: each part on one thread. Small
 * operations gain little from a second thread, which is woken for each of them; a second part gains all of it. Numbers
 * depend on how a batch is parted, not on the threads: with one, the parts go one after the other.
 * @param count most parts of a batch; one computes on the device as a whole, more need threads of the processor
 */
export function compileShards(
  loss: (inputs: Inputs) => tf.Scalar,
  count: number,
  { device, ...options }: ShardOptions,
): Sharded {
  if (count === 1) {
    const whole = compileGradients(loss, { ...options, device });
    const run: Sharded = ([feeds], randomness) => whole(feeds, randomness);
    run.close = whole.close;
    return run;
  }
  const lanes = Math.max(1, Math.min(count, device.threads));
  const others: ThreadDevice[] = Array.from({ length: lanes - 1 }, openThread);
  const devices: Device[] = [cpuDevice({ threads: 1 }), ...others];
  // Threads are asked first, so that they are busy before this one is.
  const shards: Compiled[] = Array.from({ length: count }, (_, i) =>
    compileGradients(loss, { ...options, device: devices[(i + 1) % lanes], accumulate: i > 0 }),
  );
  const run = async (parts: readonly Feeds[], randomness: Randomness) => {
    let before: Promise<unknown> | undefined;
    const running = parts.map((feeds, part) => {
      before = shards[part](feeds, { ...randomness, part }, before);
      return before as ReturnType<Compiled>;
    });
    // A part that fails leaves none running behind it.
    await Promise.allSettled(running);
    const [sums, ...others] = await Promise.all(running);
    for (const results of others) for (const name of Object.keys(sums)) add(sums[name], results[name]);
    return sums;
  };
  run.close = async () => {
    for (const shard of shards) await shard.close();
    for (const thread of others) await thread.close();
  };
  return run;
}

function add({ data: sum }: HostTensor, { data }: HostTensor): void {
  for (let i = 0; i < sum.length; i++) sum[i] += data[i];
}
