import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { messageOf } from '../../common/errors.ts';
import { cacheFolder } from '../../common/files.ts';
import type { Progress } from '../../common/progress.ts';
import type { SearchTask } from '../task.ts';
import { Bm25, type Bm25Settings } from './bm25.ts';
import { readIndex, writeIndex } from './index-file.ts';
import { type Postings, PostingsBuilder } from './postings.ts';

/** BM25 over a task's pool: its index from the cache, or made now and kept there. */
export async function openBm25(task: SearchTask, settings: Bm25Settings, progress: Progress): Promise<Bm25> {
  const identity = { task: task.manifest.hash, tokenizer: settings.tokenizer };
  const path = join(
    cacheFolder('search'),
    `bm25-${settings.tokenizer}-${identity.task.slice(0, 16)}.safetensors`,
  );
  let postings: Postings | undefined;
  if (existsSync(path)) {
    try {
      postings = await readIndex(path, identity);
    } catch (error) {
      progress.warning(`the index is made anew: ${messageOf(error)}`);
    }
  }
  if (!postings) {
    postings = index(task, settings, progress);
    await writeIndex(path, postings, identity).catch((error) =>
      progress.warning(`the index is not kept for next time: ${messageOf(error)}`),
    );
  }
  return new Bm25(postings, settings);
}

function index({ pool }: SearchTask, { tokenizer }: Bm25Settings, progress: Progress): Postings {
  progress.begin('indexing', 'texts', pool.texts.length);
  const builder = new PostingsBuilder(tokenizer);
  let done = 0;
  for (const text of pool.texts) {
    builder.add(text);
    progress.advance(++done);
  }
  const postings = builder.finish();
  progress.end();
  return postings;
}
