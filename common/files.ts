import { createHash, randomUUID } from 'node:crypto';
import { createReadStream, createWriteStream, writeSync } from 'node:fs';
import { type FileHandle, mkdir, open, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { messageOf, UserError } from './errors.ts';

/** A name beside `path` that nobody else takes, and that tells the process it is of (see removeAbandoned in data/cache.ts). */
export function temporaryPath(path: string): string {
  return `${path}.${process.pid}-${randomUUID().slice(0, 8)}.tmp`;
}

/**
 * Calls `write` with a temporary path beside `path`, then renames it into place, so that a reader finds the old
 * file, the whole new one, or none. Works for files and for folders.
 */
export async function replaceAtomically(
  path: string,
  write: (temporary: string) => Promise<void>,
): Promise<void> {
  const temporary = temporaryPath(path);
  try {
    await mkdir(dirname(path), { recursive: true });
    await write(temporary);
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { recursive: true, force: true }).catch(() => {});
    throw explainFileError(error, path);
  }
}

/** Writes a whole file atomically and flushes it to disk before it becomes visible. */
export async function writeFileAtomic(
  path: string,
  data: string | Uint8Array | readonly Uint8Array[],
): Promise<void> {
  await replaceAtomically(path, async (temporary) => {
    const file = await open(temporary, 'w');
    try {
      if (typeof data === 'string' || data instanceof Uint8Array) await file.writeFile(data);
      else for (const part of data) await file.writeFile(part);
      await file.sync();
    } finally {
      await file.close();
    }
  });
}

/** Writes all of the bytes into an open file, at its end or at a position: one write may take fewer than it was given. */
export function writeFully(file: number, bytes: Uint8Array, position?: number): void {
  for (let done = 0; done < bytes.length; )
    done += writeSync(
      file,
      bytes,
      done,
      bytes.length - done,
      position === undefined ? null : position + done,
    );
}

/** Writes pieces of text as they come, not faster than the disk takes them; errors name the path. */
export async function writeLines(
  path: string,
  pieces: () => Iterable<string> | AsyncIterable<string>,
): Promise<void> {
  await pipeline(inBlocks(pieces()), createWriteStream(path)).catch((error) => {
    throw explainFileError(error, path);
  });
}

/** Pieces of text joined to blocks, so that not every line is a write. */
async function* inBlocks(pieces: Iterable<string> | AsyncIterable<string>): AsyncGenerator<string> {
  let block = '';
  for await (const piece of pieces) {
    block += piece;
    if (block.length < 1 << 16) continue;
    yield block;
    block = '';
  }
  yield block;
}

/** Turns the system's error codes into a sentence that names the path; other errors pass unchanged. */
export function explainFileError(error: unknown, path: string): unknown {
  const code = (error as NodeJS.ErrnoException | undefined)?.code;
  const reasons: Record<string, string> = {
    ENOENT: 'does not exist',
    EACCES: 'permission denied',
    EPERM: 'operation not permitted',
    EROFS: 'the file system is read-only',
    ENOSPC: 'no space left on the device',
    EISDIR: 'is a folder, a file was expected',
    ENOTDIR: 'a part of this path is not a folder',
  };
  if (!code || !(code in reasons)) return error;
  // That is what Node says where a folder, with those above it, cannot be made on a read-only file system.
  if (code === 'ENOENT' && (error as NodeJS.ErrnoException).syscall === 'mkdir')
    return new UserError(`${path}: cannot be made; is the file system read-only?`, { cause: error });
  return new UserError(`${path}: ${reasons[code]} (${code})`, { cause: error });
}

/** Opens a file for reading while `use` works with it; errors name the path. */
export async function withFile<T>(path: string, use: (file: FileHandle) => Promise<T>): Promise<T> {
  let file: FileHandle | undefined;
  try {
    file = await open(path, 'r');
    return await use(file);
  } catch (error) {
    throw explainFileError(error, path);
  } finally {
    await file?.close();
  }
}

/** Reads a whole file; errors name the path. */
export async function readBytes(path: string): Promise<Buffer> {
  return readFile(path).catch((error) => {
    throw explainFileError(error, path);
  });
}

/** Reads and parses a JSON file; errors name the path and the reason. */
export async function readJson<T>(path: string): Promise<T> {
  const text = (await readBytes(path)).toString('utf8');
  try {
    return JSON.parse(text) as T;
  } catch (error) {
    throw new UserError(`${path}: not valid JSON: ${messageOf(error)}`);
  }
}

/** SHA-256 of a file's bytes, in hexadecimal. */
export async function hashFile(path: string): Promise<string> {
  const hash = createHash('sha256');
  try {
    for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer);
  } catch (error) {
    throw explainFileError(error, path);
  }
  return hash.digest('hex');
}

/** SHA-256 of any JSON value with its keys in sorted order, in hexadecimal: equal settings have equal hashes. */
export function hashJson(value: unknown): string {
  const sorted = (v: unknown): unknown =>
    v && typeof v === 'object' && !Array.isArray(v)
      ? Object.fromEntries(
          Object.entries(v)
            .sort(([a], [b]) => (a < b ? -1 : 1))
            .map(([k, x]) => [k, sorted(x)]),
        )
      : Array.isArray(v)
        ? v.map(sorted)
        : v;
  return createHash('sha256')
    .update(JSON.stringify(sorted(value)))
    .digest('hex');
}

/** Where prepared datasets and embeddings are kept: $REC_CACHE, else $XDG_CACHE_HOME/rec, else ~/.cache/rec. */
export function cacheFolder(...parts: string[]): string {
  const root = process.env.REC_CACHE ?? join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'rec');
  return join(root, ...parts);
}

/** Makes a folder where it is not there, and tries to write in it. @throws UserError where that fails */
export async function ensureWritableFolder(path: string): Promise<void> {
  const probe = temporaryPath(join(path, 'write-test'));
  try {
    await mkdir(path, { recursive: true });
    await writeFile(probe, '');
    await rm(probe);
  } catch (error) {
    throw explainFileError(error, path);
  }
}
