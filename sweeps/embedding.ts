import { setMaxListeners } from 'node:events';
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { UserError } from '../common/errors.ts';
import { cacheFolder, hashJson } from '../common/files.ts';
import type { ConfigOptions } from '../configs/options.ts';
import { type EmbedJob, type EncoderContext, missingShards } from '../encoders/index.ts';
import { QueueClient } from '../queue/client.ts';
import { Store } from '../queue/store.ts';

/** Some shards of an embedding, as they lie in the queue. */
export interface ShardsWork {
  /** Of `rec encode`. */
  args: string[];
  shards: number[];
  /** Where in the cache folder the shards are kept. */
  folder: string;
  /** s3://bucket/prefix that shards go through; undefined where machines share the cache folder. */
  artifacts?: string;
}

/** Shards a piece of work: opening the encoder is then a small part of it. */
const group = 4;

/**
 * Has workers make the shards of an embedding that the cache lacks. Does nothing for an encoder that needs all texts to
 * embed any.
 * @param options what `rec encode` was given
 * @throws Cancelled, UserError with a worker's error, or where the shards have not come here
 */
export async function embedOnQueue(
  job: EmbedJob,
  context: EncoderContext,
  options: ConfigOptions,
  { queue, artifacts }: { queue: string; artifacts?: string },
): Promise<void> {
  const { progress } = context;
  const found = await missingShards(job, context);
  if (!found) return progress.note(`${job.name} needs all texts at once: it embeds them on this machine`);
  const { folder, missing } = found;
  if (!missing.length) return;
  const client = new QueueClient(queue, (text) => progress.warning(text));
  const stop = new AbortController();
  setMaxListeners(0, stop.signal);
  const unwatch = progress.watch(() => stop.abort());
  const groups = Array.from({ length: Math.ceil(missing.length / group) }, (_, i) =>
    missing.slice(i * group, (i + 1) * group),
  );
  let done = 0;
  try {
    await client.ready(stop.signal);
    progress.begin(`embedding with ${job.name}`, 'shards', missing.length);
    const work = groups.map(async (shards) => {
      const data: ShardsWork = { args: argumentsOf(options), shards, folder, artifacts };
      const id = `shards-${hashJson([folder, shards]).slice(0, 16)}`;
      const title = `${job.name} ${shards[0]}-${shards[shards.length - 1]}`;
      await client.run({ id, kind: 'shards', title, data }, () => {}, stop.signal);
      done += shards.length;
      progress.advance(done);
    });
    await Promise.all(work).catch(async (error) => {
      // One failure ends all: the encoder, or the dataset, is not as it should be.
      stop.abort();
      await Promise.allSettled(work);
      throw error;
    });
  } finally {
    unwatch();
    client.close();
  }
  progress.end();
  if (artifacts !== undefined) await new Store(artifacts).pull(folder, cacheFolder(folder));
  const left = (await missingShards(job, context))?.missing.length;
  if (left)
    throw new UserError(
      `workers have made ${missing.length} shards, but ${left} of them are not in ${cacheFolder(folder)}: ` +
        'let machines share it ($REC_CACHE), or give --artifacts',
    );
}

/** The options as a command line for another process, perhaps of another machine; threads are for it to decide. */
function argumentsOf({ threads: _t, device: _d, ...options }: ConfigOptions): string[] {
  return Object.entries(options).flatMap(([name, given]) =>
    [given ?? []]
      .flat()
      .flatMap((value) => [`--${name}`, name !== 'set' && existsSync(value) ? resolve(value) : value]),
  );
}
