import { UserError } from '../../common/errors.ts';
import { readSafetensors, requireTensor, writeSafetensors } from '../../common/safetensors.ts';
import type { Postings } from './postings.ts';
import type { TokenizerName } from './tokens.ts';

/** What an index was made of. */
export interface IndexIdentity {
  /** The task's hash. */
  task: string;
  tokenizer: TokenizerName;
}

const format = 'rec bm25 1';

/** Writes postings as a .safetensors file: `terms` (UTF-8, a line each), `starts`, `documents`, `counts`, `lengths`. */
export async function writeIndex(path: string, postings: Postings, identity: IndexIdentity): Promise<void> {
  const { terms, starts, documents, counts, lengths } = postings;
  const names = new Uint8Array(Buffer.from([...terms.keys()].join('\n')));
  await writeSafetensors(
    path,
    [
      ['terms', { dtype: 'U8', shape: [names.length], data: names }],
      ['starts', { dtype: 'U32', shape: [starts.length], data: starts }],
      ['documents', { dtype: 'I32', shape: [documents.length], data: documents }],
      [
        'counts',
        { dtype: counts.BYTES_PER_ELEMENT === 1 ? 'U8' : 'U16', shape: [counts.length], data: counts },
      ],
      ['lengths', { dtype: 'I32', shape: [lengths.length], data: lengths }],
    ],
    { format, ...identity },
  );
}

/** @throws UserError where the file is no index, or one of another task or tokenizer. */
export async function readIndex(path: string, identity: IndexIdentity): Promise<Postings> {
  const file = await readSafetensors(path);
  const { metadata } = file;
  if (metadata.format !== format) throw new UserError(`${path}: not a BM25 index of this version`);
  for (const [key, expected] of Object.entries(identity))
    if (metadata[key] !== expected)
      throw new UserError(`${path}: made for ${key} ${metadata[key]}, but ${expected} is asked for`);
  const tensor = (name: string) => requireTensor(file, name).data;
  const names = Buffer.from(tensor('terms') as Uint8Array).toString('utf8');
  return {
    tokenizer: identity.tokenizer,
    terms: new Map(names ? names.split('\n').map((name, term) => [name, term]) : []),
    starts: tensor('starts') as Uint32Array,
    documents: tensor('documents') as Int32Array,
    counts: tensor('counts') as Uint8Array | Uint16Array,
    lengths: tensor('lengths') as Int32Array,
  };
}
