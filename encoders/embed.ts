import { UserError } from '../common/errors.ts';
import { hashJson } from '../common/files.ts';
import { append } from '../common/group.ts';
import type { Progress } from '../common/progress.ts';
import { MadeTexts, type Texts } from '../common/texts.ts';
import type { EncoderContext, EncoderDefinition, TextEncoder, TextVectors } from './contract.ts';
import { inOrderOfLength } from './distinct.ts';
import { openEncoder } from './open.ts';
import { hashTexts, Shards } from './shards.ts';

/** Which encoder, with its settings resolved, embeds what. */
export interface EmbedJob {
  /** The family, and the name shown in results ('lsa', 'blair-base'). */
  entry: EncoderDefinition;
  name: string;
  settings: Record<string, unknown>;
  /** One text an item; undefined where the dataset has none, which ready-made matrices do not mind. */
  texts?: Texts;
  rows: number;
  /** False keeps nothing on disk. */
  cache?: boolean;
  /** Only these shards, of an encoder whose rows depend on one text each; others are neither read nor made. */
  shards?: readonly number[];
}

/** What takes in an embedded row; its values are valid until it returns. */
export type PlaceRow = (row: number, vector: Float32Array) => void;

/**
 * The vectors of a dataset's texts, from the cache as far as they are there. Identical texts are embedded once; an
 * item without text gets a zero vector. Interrupted work is taken up where its last finished shard ended.
 * @returns vectors [rows, dims]
 * @throws UserError where there are no texts to embed, a vector is not finite, or the encoder's files are unusable.
 */
export async function embedTexts(job: EmbedJob, context: EncoderContext): Promise<TextVectors> {
  const { rows, name } = job;
  let values = new Float32Array(0);
  const facts = await embedRows(job, context, (dims) => {
    values = new Float32Array(rows * dims);
    return (row, vector) => values.set(vector, row * dims);
  });
  return { rows, name, values, ...facts };
}

/** As embedTexts, row by row for `begin(dims)`'s receiver, in any order; rows without text do not come. */
export async function embedRows(
  job: EmbedJob,
  context: EncoderContext,
  begin: (dims: number) => PlaceRow,
): Promise<Pick<TextVectors, 'dims' | 'hash' | 'rowsDependOn'>> {
  const encoder = await openJob(job, context);
  try {
    const { dims, rowsDependOn } = encoder;
    const embed = rowsDependOn === 'position' ? readReadyMade : embedDistinct;
    return { dims, rowsDependOn, hash: await embed(job, encoder, context, begin(dims)) };
  } finally {
    await encoder.close();
  }
}

const openJob = ({ entry, name, settings, rows }: EmbedJob, context: EncoderContext): Promise<TextEncoder> =>
  openEncoder(entry, name, settings, { ...context, rows });

async function readReadyMade(
  job: EmbedJob,
  encoder: TextEncoder,
  { progress }: EncoderContext,
  place: PlaceRow,
): Promise<string> {
  const { rows, name } = job;
  const { dims, fingerprint } = encoder;
  progress.begin(`reading ${name}`, 'rows', rows);
  await encoder.embed(job.texts ?? new MadeTexts(rows, () => ''), async (first, block) => {
    eachRow(block, dims, (i, vector) => place(first + i, vector));
    progress.advance(first + block.length / dims);
  });
  progress.end();
  return fingerprint;
}

async function embedDistinct(
  job: EmbedJob,
  encoder: TextEncoder,
  context: EncoderContext,
  place: PlaceRow,
): Promise<string> {
  const texts = requireTexts(job);
  const { order, firstRow, distinct, shards } = shardsOf(job, texts, encoder, context);
  refuseWanted(job, encoder, shards.count);
  warnOfEmpty(firstRow, job.name, context.progress);
  const repeats = new Map<number, number[]>();
  firstRow.forEach((first, row) => {
    if (first >= 0 && first !== row) append(repeats, first, row);
  });
  await embedShards(
    distinct,
    encoder,
    shards,
    job.shards ?? [...Array(shards.count).keys()],
    (first, block) =>
      eachRow(block, encoder.dims, (i, vector) => {
        const row = order[first + i];
        place(row, vector);
        for (const repeat of repeats.get(row) ?? []) place(repeat, vector);
      }),
    context,
  );
  return hashJson({ fingerprint: encoder.fingerprint, texts: hashTexts(texts) });
}

/** The distinct texts of a job, longest first, and the shards of the cache that hold their vectors. */
function shardsOf(
  { name, cache }: EmbedJob,
  texts: Texts,
  { fingerprint, dims }: TextEncoder,
  { progress }: EncoderContext,
) {
  const { order, firstRow } = inOrderOfLength(texts);
  const distinct = new MadeTexts(order.length, (i) => texts.at(order[i])!);
  const manifest = { name, fingerprint, textsHash: hashTexts(distinct), rows: distinct.length, dims };
  return { order, firstRow, distinct, shards: new Shards(manifest, cache !== false, progress) };
}

/**
 * The shards of a job that the cache lacks, and their folder in it; undefined for an encoder that cannot make them one
 * by one.
 */
export async function missingShards(
  job: EmbedJob,
  context: EncoderContext,
): Promise<{ folder: string; missing: number[] } | undefined> {
  const encoder = await openJob(job, context);
  try {
    if (encoder.rowsDependOn !== 'text') return undefined;
    const { shards } = shardsOf(job, requireTexts(job), encoder, context);
    const missing: number[] = [];
    for (let shard = 0; shard < shards.count; shard++) if (!(await shards.read(shard))) missing.push(shard);
    return { folder: shards.folder, missing };
  } finally {
    await encoder.close();
  }
}

/** An encoder for texts that are asked for beside a corpus which was embedded before. */
export interface QueryEncoder {
  dims: number;
  /** Of the encoder without the corpus. */
  fingerprint: string;
  /**
   * Embeds texts, [texts, dims]; the vector of a text without words is zero. Nothing is cached.
   * @throws UserError for a ready-made matrix, which knows no texts.
   */
  embed(texts: readonly string[]): Promise<Float32Array>;
  close(): Promise<void>;
}

/** Opens an encoder for queries; one that depends on its corpus is fitted to the job's texts, when the first query comes. */
export async function openForQueries(job: EmbedJob, context: EncoderContext): Promise<QueryEncoder> {
  const encoder = await openJob(job, context);
  const { dims, fingerprint, rowsDependOn } = encoder;
  let fitted = rowsDependOn === 'text';
  const fit = async () => {
    if (rowsDependOn === 'position')
      throw new UserError(`encoder ${job.name} gives vectors to rows, not to texts: it cannot embed a query`);
    const texts = requireTexts(job);
    context.progress.begin(`fitting ${job.name}`, 'texts');
    const { order } = inOrderOfLength(texts);
    await encoder.fit!(new MadeTexts(order.length, (i) => texts.at(order[i])!));
    context.progress.end();
    fitted = true;
  };
  return {
    dims,
    fingerprint,
    async embed(texts) {
      if (!fitted) await fit();
      const values = new Float32Array(texts.length * dims);
      const { order, firstRow } = inOrderOfLength(texts);
      const distinct = Array.from(order, (row) => texts[row]);
      await encoder.embed(distinct, async (first, block) => {
        eachRow(block, dims, (i, vector) => values.set(vector, order[first + i] * dims));
      });
      firstRow.forEach((first, row) => {
        if (first >= 0 && first !== row) values.copyWithin(row * dims, first * dims, (first + 1) * dims);
      });
      return values;
    },
    close: () => encoder.close(),
  };
}

function refuseWanted({ name, shards = [] }: EmbedJob, { rowsDependOn }: TextEncoder, count: number): void {
  const beyond = shards.find((shard) => shard >= count);
  if (beyond !== undefined)
    throw new UserError(
      `${name} has ${count} shards of this dataset's texts, from 0: there is no shard ${beyond}`,
    );
  if (shards.length && rowsDependOn === 'corpus')
    throw new UserError(`encoder ${name} needs all texts at once: it cannot make some shards of them`);
}

function requireTexts({ texts, name }: EmbedJob): Texts {
  if (texts) return texts;
  throw new UserError(
    `encoder ${name} needs item texts, and the dataset has none; give ready-made vectors with file:PATH`,
  );
}

function eachRow(block: Float32Array, dims: number, use: (i: number, vector: Float32Array) => void): void {
  for (let i = 0; i * dims < block.length; i++) use(i, block.subarray(i * dims, (i + 1) * dims));
}

function warnOfEmpty(firstRow: Int32Array, name: string, progress: Progress): void {
  const empty = firstRow.reduce((count, row) => count + (row < 0 ? 1 : 0), 0);
  if (empty)
    progress.warning(`${empty} of ${firstRow.length} items have no text: their ${name} vectors are zero`);
}

/** Of the wanted shards, reads those that are at hand, and embeds and keeps the others. */
async function embedShards(
  texts: Texts,
  encoder: TextEncoder,
  shards: Shards,
  wanted: readonly number[],
  place: (first: number, block: Float32Array) => void,
  { progress }: EncoderContext,
): Promise<void> {
  const { name, dims } = shards.manifest;
  progress.begin(`embedding with ${name}`, 'texts', texts.length);
  let done = 0;
  const missing: number[] = [];
  for (const shard of wanted) {
    const block = await shards.read(shard);
    if (!block) missing.push(shard);
    else {
      place(shards.first(shard), block);
      done += block.length / dims;
      progress.advance(done);
    }
  }
  // An encoder fitted to the corpus needs all of it to make any row.
  const all = encoder.rowsDependOn === 'corpus' && missing.length > 0;
  if (all) done = 0;
  for (const [from, to] of all ? [[0, shards.count]] : runs(missing)) {
    const [start, end] = [shards.first(from), shards.first(to)];
    const keep = shards.writer(from);
    const part = all ? texts : new MadeTexts(end - start, (i) => texts.at(start + i)!);
    await encoder.embed(part, async (first, block) => {
      place(start + first, block);
      await keep(block);
      done += block.length / dims;
      progress.advance(done);
    });
  }
  progress.end();
}

/** Ascending numbers as runs [first, after last) of successive ones. */
function runs(numbers: readonly number[]): [number, number][] {
  const found: [number, number][] = [];
  for (const n of numbers) {
    const last = found.at(-1);
    if (last?.[1] === n) last[1] = n + 1;
    else found.push([n, n + 1]);
  }
  return found;
}
