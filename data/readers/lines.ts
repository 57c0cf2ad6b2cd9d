import { createReadStream } from 'node:fs';
import { open, stat } from 'node:fs/promises';
import { basename } from 'node:path';
import { Readable } from 'node:stream';
import { constants, createGunzip, gunzipSync } from 'node:zlib';
import { messageOf, UserError } from '../../common/errors.ts';
import { explainFileError } from '../../common/files.ts';
import type { Progress } from '../../common/progress.ts';

/** Where a reader is, for messages. */
export interface Position {
  line: number;
}

/**
 * The bytes of a file, unzipped where its name ends in .gz, with progress in bytes of the file.
 * @throws UserError that says how far a damaged archive could be read.
 */
export async function* readChunks(path: string, progress: Progress, at: Position): AsyncGenerator<Buffer> {
  const size = await fileSize(path);
  progress.begin(`read ${basename(path)}`, 'bytes', size);
  try {
    yield* unzippedChunks(path, at, (read) => progress.advance(read, size));
  } finally {
    progress.end();
  }
}

/**
 * Reads a .gz file through, as DuckDB takes one that ends in the middle for a whole one.
 * @throws UserError that says how far a damaged archive could be read.
 */
export async function checkArchive(path: string, progress: Progress): Promise<void> {
  const at: Position = { line: 0 };
  for await (const chunk of unzippedChunks(path, at, () => progress.check()))
    for (let end = chunk.indexOf(0x0a); end >= 0; end = chunk.indexOf(0x0a, end + 1)) at.line++;
}

/** The size of a file in bytes. */
export async function fileSize(path: string): Promise<number> {
  return stat(path).then(
    ({ size }) => size,
    (error) => {
      throw explainFileError(error, path);
    },
  );
}

async function* unzippedChunks(
  path: string,
  at: Position,
  onRead: (bytes: number) => void,
): AsyncGenerator<Buffer> {
  const file = createReadStream(path, { highWaterMark: 1 << 18 });
  const zipped = path.endsWith('.gz');
  const stream = zipped ? file.pipe(createGunzip({ chunkSize: 1 << 18 })) : file;
  file.on('error', (error) => stream.destroy(error));
  try {
    for await (const chunk of stream) {
      onRead(file.bytesRead);
      yield chunk as Buffer;
    }
  } catch (error) {
    throw zipped ? explainZipError(error, path, at) : explainFileError(error, path);
  } finally {
    file.destroy();
    stream.destroy();
  }
}

function explainZipError(error: unknown, path: string, at: Position): unknown {
  const code = (error as { code?: string } | undefined)?.code ?? '';
  if (!code.startsWith('Z_')) return explainFileError(error, path);
  const problem =
    code === 'Z_BUF_ERROR'
      ? 'the gzip file ends in the middle'
      : `the gzip file is damaged (${messageOf(error)})`;
  return new UserError(`${path}: ${problem}, after line ${at.line}; download or copy it again.`);
}

/** Like readChunks, as a stream for parsers that want one. */
export function readStream(path: string, progress: Progress, at: Position): Readable {
  return Readable.from(readChunks(path, progress, at), { objectMode: false });
}

/** Calls `use(line, number)` for every line, numbers from 1; '\r' before the end and a byte order mark are removed. */
export async function forEachLine(
  path: string,
  progress: Progress,
  use: (line: string, number: number) => void,
): Promise<void> {
  const at: Position = { line: 0 };
  let pending: Buffer[] = [];
  const emit = (bytes: Buffer): void => {
    const carriage = bytes.length > 0 && bytes[bytes.length - 1] === 0x0d;
    let text = bytes.toString('utf8', 0, bytes.length - (carriage ? 1 : 0));
    if (++at.line === 1 && text.charCodeAt(0) === 0xfeff) text = text.slice(1);
    use(text, at.line);
  };
  for await (const chunk of readChunks(path, progress, at)) {
    let from = 0;
    for (;;) {
      const end = chunk.indexOf(0x0a, from);
      if (end < 0) break;
      const part = chunk.subarray(from, end);
      emit(pending.length ? Buffer.concat([...pending, part]) : part);
      pending = [];
      from = end + 1;
    }
    if (from < chunk.length) pending.push(chunk.subarray(from));
  }
  if (pending.length) emit(Buffer.concat(pending));
}

/** The first `bytes` bytes of a file as text, unzipped; fewer where the file is shorter or its archive is damaged. */
export async function readHead(path: string, bytes = 1 << 20): Promise<string> {
  return (await headBytes(path, bytes)).toString('utf8').replace(/^\uFEFF/, '');
}

/** Whether a file begins with the bytes that mark UTF-8. */
export async function hasByteOrderMark(path: string): Promise<boolean> {
  return (await headBytes(path, 1 << 10)).subarray(0, 3).equals(Buffer.from('\uFEFF'));
}

async function headBytes(path: string, bytes: number): Promise<Buffer> {
  try {
    const file = await open(path, 'r');
    try {
      const { buffer, bytesRead } = await file.read(Buffer.alloc(bytes), 0, bytes, 0);
      const head = buffer.subarray(0, bytesRead);
      return path.endsWith('.gz') ? gunzipSync(head, { finishFlush: constants.Z_SYNC_FLUSH }) : head;
    } finally {
      await file.close();
    }
  } catch (error) {
    throw path.endsWith('.gz') ? explainZipError(error, path, { line: 0 }) : explainFileError(error, path);
  }
}
