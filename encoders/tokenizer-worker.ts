import { parentPort, workerData } from 'node:worker_threads';
import { messageOf } from '../common/errors.ts';
import { loadTokenizer } from './tokenizer.ts';
import type { Answer, ThreadOptions } from './tokenizer-thread.ts';

const { folder, maxTokens } = workerData as ThreadOptions;
const loading = loadTokenizer(folder);

async function tokenize(texts: readonly string[]): Promise<Answer> {
  const { encode } = await loading;
  const rows = texts.map((text) => encode(text, maxTokens));
  const ends = new Int32Array(rows.length);
  let end = 0;
  rows.forEach((ids, i) => {
    end += ids.length;
    ends[i] = end;
  });
  return { ids: Int32Array.from(rows.flat()), ends };
}

parentPort!.on('message', async (texts: readonly string[]) => {
  const answer = await tokenize(texts).catch((error): Answer => ({ error: messageOf(error) }));
  parentPort!.postMessage(answer, 'ids' in answer ? [answer.ids.buffer, answer.ends.buffer] : []);
});
