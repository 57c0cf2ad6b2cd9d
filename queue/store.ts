import { randomUUID } from 'node:crypto';
import type { Dirent } from 'node:fs';
import { type FileHandle, mkdir, open, readdir, rm } from 'node:fs/promises';
import { join, relative, sep } from 'node:path';
import type { S3Client } from '@aws-sdk/client-s3';
import { Cancelled, messageOf, UsageError, UserError } from '../common/errors.ts';
import { explainFileError, writeFileAtomic } from '../common/files.ts';

/**
 * Folders on an S3-compatible store, under s3://bucket/prefix. Credentials, region and endpoint come from where
 * Amazon's tools look for them (AWS_ACCESS_KEY_ID, AWS_ENDPOINT_URL, ~/.aws, a machine's role); they pass through
 * nobody else's hands.
 */
export class Store {
  readonly #bucket: string;
  readonly #prefix: string;
  #opened?: Promise<S3Client>;

  constructor(url: string) {
    const parts = /^s3:\/\/([^/@:]+)\/?([^@]*)$/.exec(url);
    // What was given may hold a secret: it is not repeated.
    if (!parts) throw new UsageError('--artifacts must be s3://bucket/prefix, without credentials in it');
    this.#bucket = parts[1];
    this.#prefix = parts[2] && `${parts[2].replace(/\/+$/, '')}/`;
  }

  /**
   * Brings the files under a key into a folder, over those of the same name.
   * @throws Cancelled where the signal is raised, UserError where the store fails
   */
  async pull(key: string, folder: string, signal?: AbortSignal): Promise<void> {
    await mkdir(folder, { recursive: true });
    for (const name of await this.#list(key, signal))
      await writeFileAtomic(join(folder, name), (await this.#get(`${key}/${name}`, signal))!);
  }

  /**
   * Makes a folder what is under a key, where there is something: files of an earlier time here, which nobody got to see,
   * must not be taken for a part of what others have done since.
   * @throws as `pull` does
   */
  async mirror(key: string, folder: string, signal: AbortSignal): Promise<void> {
    const names = await this.#list(key, signal);
    if (names.length)
      for (const name of await filesIn(folder)) if (!names.includes(name)) await rm(join(folder, name));
    await this.pull(key, folder, signal);
  }

  /** Begins to keep a folder under a key, whose keeper until now finds out at its next push. */
  async claim(key: string): Promise<Keeper> {
    const token = randomUUID();
    await this.put(`${key}/${OWNER}`, Buffer.from(token));
    return new Keeper(this, key, async () => (await this.#get(`${key}/${OWNER}`))?.toString() === token);
  }

  async put(key: string, data: Uint8Array): Promise<void> {
    const { PutObjectCommand } = await import('@aws-sdk/client-s3');
    const client = await this.#client();
    await this.#explained(key, () => client.send(new PutObjectCommand({ ...this.#at(key), Body: data })));
  }

  async #get(key: string, signal?: AbortSignal): Promise<Buffer | undefined> {
    const { GetObjectCommand, NoSuchKey } = await import('@aws-sdk/client-s3');
    const client = await this.#client();
    const read = async () => {
      try {
        const { Body } = await client.send(new GetObjectCommand(this.#at(key)), { abortSignal: signal });
        return Buffer.from(await Body!.transformToByteArray());
      } catch (error) {
        if (error instanceof NoSuchKey) return undefined;
        throw error;
      }
    };
    return this.#explained(key, read, signal);
  }

  /** Names of the files under a key, in the order that they are to be written in. */
  async #list(key: string, signal?: AbortSignal): Promise<string[]> {
    const { paginateListObjectsV2 } = await import('@aws-sdk/client-s3');
    const client = await this.#client();
    const { Bucket, Key } = this.#at(`${key}/`);
    const pages = paginateListObjectsV2({ client }, { Bucket, Prefix: Key }, { abortSignal: signal });
    const list = async () => {
      const names: string[] = [];
      for await (const { Contents = [] } of pages)
        names.push(...Contents.map((object) => object.Key!.slice(Key.length)));
      return names.filter((name) => name !== OWNER).sort(byRank);
    };
    return this.#explained(key, list, signal);
  }

  #at(key: string) {
    return { Bucket: this.#bucket, Key: this.#prefix + key };
  }

  #client(): Promise<S3Client> {
    this.#opened ??= import('@aws-sdk/client-s3').then(({ S3Client }) => {
      // The version at hand is made for the Node that package.json asks for; what later ones need is not news for users.
      process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED ??= 'true';
      const { AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL, AWS_REGION } = process.env;
      // Stores other than Amazon's know buckets by path, have no regions, and may not know its newer checksums.
      const other = AWS_ENDPOINT_URL_S3 ?? AWS_ENDPOINT_URL;
      return new S3Client({
        // A store out of reach is waited for, some two minutes.
        maxAttempts: 20,
        requestHandler: { connectionTimeout: 10_000, socketTimeout: 60_000 },
        requestChecksumCalculation: 'WHEN_REQUIRED',
        responseChecksumValidation: 'WHEN_REQUIRED',
        ...(other && { forcePathStyle: true, region: AWS_REGION ?? 'us-east-1' }),
      });
    });
    return this.#opened;
  }

  async #explained<T>(key: string, work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    try {
      return await work();
    } catch (error) {
      if (signal?.aborted) throw new Cancelled();
      const { Bucket, Key } = this.#at(key);
      const name = error instanceof Error ? error.name : 'Error';
      throw new UserError(`s3://${Bucket}/${Key}: ${name}: ${messageOf(error)}`, { cause: error });
    }
  }
}

/** Names who keeps a folder; on the store only. */
const OWNER = 'owner';

/**
 * Files of a run folder that go last, in this order, so that a folder whose transfer was broken off can be resumed: a
 * checkpoint needs a best model no older than itself, a folder with a configuration has begun, one with a result is
 * finished.
 */
const LAST = ['best.safetensors', 'last.safetensors', 'config.yaml', 'result.json'];
const byRank = (a: string, b: string) => LAST.indexOf(a) - LAST.indexOf(b);

/** Names of the files in a folder and in those in it, but for what is half written, and who owns it on this machine. */
async function filesIn(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch((error) => {
    if (error.code === 'ENOENT') return [];
    throw explainFileError(error, folder);
  });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => relative(folder, pathOf(entry)).replaceAll(sep, '/'))
    .filter((name) => name !== OWNER && !name.endsWith('.tmp'));
}

/** Before Node 20.12 an entry has only the older of the two names for its folder. */
const pathOf = ({ parentPath, path, name }: Dirent) => join(parentPath ?? path, name);

/** Someone else keeps the folder by now. */
export class TakenOver extends UserError {}

/** Keeps a folder that is being worked on: every push takes over what has changed since the last one. */
export class Keeper {
  readonly #store: Store;
  readonly #key: string;
  readonly #isOwner: () => Promise<boolean>;
  /** Name -> state of the file when it was pushed. */
  readonly #pushed = new Map<string, string>();

  constructor(store: Store, key: string, isOwner: () => Promise<boolean>) {
    this.#store = store;
    this.#key = key;
    this.#isOwner = isOwner;
  }

  /** @throws TakenOver, UserError where the store fails */
  async push(folder: string): Promise<void> {
    if (!(await this.#isOwner())) throw new TakenOver(`${this.#key}: another worker has taken this over`);
    const names = await filesIn(folder);
    const files: { name: string; file: FileHandle }[] = [];
    try {
      // Opened in the opposite order: what is sent first is never older than what is sent later.
      for (const name of names.sort(byRank).reverse())
        files.push({ name, file: await open(join(folder, name)) });
      for (const { name, file } of files.reverse()) {
        const { mtimeMs, size } = await file.stat();
        const state = `${mtimeMs} ${size}`;
        if (this.#pushed.get(name) === state) continue;
        await this.#store.put(`${this.#key}/${name}`, await file.readFile());
        this.#pushed.set(name, state);
      }
    } finally {
      for (const { file } of files) await file.close();
    }
  }
}
