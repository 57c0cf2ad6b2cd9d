import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** A request as the stand-in saw it. */
export interface Seen {
  /** Which of the two machines was asked: the hub, or the one that stores large files. */
  on: 'hub' | 'store';
  method: string;
  path: string;
  range?: string;
  token?: string;
}

/** Answers a request in place of the stand-in; false leaves it to the next fault, or to the stand-in. */
export type Fault = (seen: Seen, response: ServerResponse, content?: Buffer) => boolean;

export interface Repository {
  commit: string;
  files: Record<string, Buffer>;
  /** A token without which it does not show. */
  token?: string;
}

/**
 * A stand-in for the Hugging Face hub on 127.0.0.1, with the addresses and headers of the real one, as its clients in
 * Python and TypeScript use them: files of up to 100 bytes are git's own, larger ones redirect to a second machine.
 */
export class StandIn {
  readonly seen: Seen[] = [];
  readonly faults: Fault[] = [];
  /** 'datasets/org/name' or 'models/org/name' -> its content. */
  readonly repositories: Record<string, Repository> = {};
  endpoint = '';
  #store = '';
  readonly #servers: Server[] = [];

  async open(): Promise<this> {
    this.endpoint = await this.#listen('hub', (seen, request, response) =>
      this.#hub(seen, request, response),
    );
    // Python tells the two apart by their names.
    const store = await this.#listen('store', (seen, _, response) => this.#storage(seen, response));
    this.#store = store.replace('127.0.0.1', 'localhost');
    return this;
  }

  async close(): Promise<void> {
    for (const server of this.#servers) {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    }
  }

  /** Requests for the bytes of files, of those from `first` on. */
  downloads(first = 0): Seen[] {
    return this.seen.slice(first).filter(({ path }) => path.includes('/resolve/'));
  }

  async #listen(
    on: Seen['on'],
    answer: (seen: Seen, request: IncomingMessage, response: ServerResponse) => unknown,
  ): Promise<string> {
    const server = createServer((request, response) => {
      const { range, authorization } = request.headers;
      const seen: Seen = {
        on,
        method: request.method ?? '',
        path: decodeURIComponent(request.url ?? ''),
        ...(range && { range }),
        ...(authorization && { token: authorization.replace('Bearer ', '') }),
      };
      this.seen.push(seen);
      const content = this.#contentOf(seen);
      if (!this.faults.some((fault) => fault(seen, response, content))) void answer(seen, request, response);
    });
    this.#servers.push(server);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  #contentOf({ path, on }: Seen): Buffer | undefined {
    if (on === 'store') return this.#byHash(path.slice(1));
    const resolve = /^\/(?:(datasets)\/)?([^/]+\/[^/]+)\/resolve\/[^/]+\/(.+)$/.exec(path);
    return resolve
      ? this.repositories[`${resolve[1] ?? 'models'}/${resolve[2]}`]?.files[resolve[3]]
      : undefined;
  }

  #byHash(hash: string): Buffer | undefined {
    const all = Object.values(this.repositories).flatMap(({ files }) => Object.values(files));
    return all.find((content) => sha256(content) === hash);
  }

  async #hub(seen: Seen, request: IncomingMessage, response: ServerResponse): Promise<void> {
    const api =
      /^\/api\/((?:models|datasets)\/[^/]+\/[^/]+)\/(revision|paths-info|tree)\/([^/?]+)\/?([^?]*)/.exec(
        seen.path,
      );
    const resolve = /^\/(?:(datasets)\/)?([^/]+\/[^/]+)\/resolve\/([^/]+)\/(.+)$/.exec(seen.path);
    const name = api?.[1] ?? (resolve ? `${resolve[1] ?? 'models'}/${resolve[2]}` : '');
    const revision = api?.[3] ?? resolve?.[3] ?? '';
    const repository = this.repositories[name];
    if (!repository || (repository.token && repository.token !== seen.token))
      return refuse(response, 401, 'RepoNotFound', 'Invalid username or password.');
    const { commit, files } = repository;
    if (revision !== 'main' && revision !== commit) return refuse(response, 404, 'RevisionNotFound');
    if (api?.[2] === 'revision')
      return json(response, { _id: '1', id: name.replace(/^\w+\//, ''), sha: commit });
    if (api?.[2] === 'tree') {
      const paths = Object.keys(files).filter((path) => path.split('/').slice(0, -1).join('/') === api[4]);
      return json(
        response,
        paths.map((path) => described(path, files[path])),
      );
    }
    if (api) {
      const { paths } = JSON.parse(await bodyOf(request)) as { paths: string[] };
      const there = paths.filter((path) => files[path]);
      return json(
        response,
        there.map((path) => described(path, files[path])),
      );
    }
    this.#resolve(seen, response, commit, files[resolve?.[4] ?? '']);
  }

  #resolve(seen: Seen, response: ServerResponse, commit: string, content: Buffer | undefined): void {
    if (!content) {
      refuse(response, 404, 'EntryNotFound');
      return;
    }
    response.setHeader('x-repo-commit', commit);
    if (content.length <= 100) {
      response.setHeader('etag', `"${gitHash(content)}"`);
      send(seen, response, content);
      return;
    }
    const hash = sha256(content);
    response.setHeader('x-linked-size', content.length);
    response.setHeader('x-linked-etag', `"${hash}"`);
    response.writeHead(302, { location: `${this.#store}/${hash}` }).end();
  }

  #storage(seen: Seen, response: ServerResponse): void {
    const content = this.#byHash(seen.path.slice(1));
    if (!content) return void response.writeHead(403).end();
    response.setHeader('etag', `"${seen.path.slice(1)}"`);
    send(seen, response, content);
  }
}

/** Sends a file, or the part of it that a range asks for. */
export function send({ method, range }: Seen, response: ServerResponse, content: Buffer): void {
  const from = Number(/^bytes=(\d+)-/.exec(range ?? '')?.[1] ?? 0);
  if (range && from >= content.length)
    return void response.writeHead(416, { 'content-range': `bytes */${content.length}` }).end();
  const part = content.subarray(from);
  if (range) response.setHeader('content-range', `bytes ${from}-${content.length - 1}/${content.length}`);
  response.writeHead(range ? 206 : 200, { 'content-length': part.length });
  response.end(method === 'HEAD' ? undefined : part);
}

export const sha256 = (content: Buffer): string => createHash('sha256').update(content).digest('hex');

export const gitHash = (content: Buffer): string =>
  createHash('sha1').update(`blob ${content.length}\0`).update(content).digest('hex');

function described(path: string, content: Buffer) {
  const file = { type: 'file', path, size: content.length, oid: gitHash(content) };
  return content.length <= 100
    ? file
    : { ...file, lfs: { oid: sha256(content), size: content.length, pointerSize: 130 } };
}

function json(response: ServerResponse, value: unknown): void {
  response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(value));
}

function refuse(response: ServerResponse, status: number, code: string, message = code): void {
  response
    .writeHead(status, {
      'x-error-code': code,
      'x-error-message': message,
      'content-type': 'application/json',
    })
    .end(JSON.stringify({ error: message }));
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString();
}
