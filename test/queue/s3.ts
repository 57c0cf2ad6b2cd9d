import { createHash, createHmac } from 'node:crypto';
import { createServer, type IncomingMessage } from 'node:http';

/** Credentials that the server takes. */
export const credentials = { id: 'KEYIDOFTHETEST', secret: 'secret/of+the/test' };

/** Objects a page of a listing: few, so that listings have pages. */
const page = 3;

/**
 * An S3-compatible store in memory, as far as folders of files need one: PUT, GET and ListObjectsV2 by path, every
 * request's signature checked (AWS Signature Version 4, written from its specification).
 * @param unavailable how many requests are refused at first, as by a store that is overloaded
 */
export async function startStore(bucket: string, { unavailable = 0 } = {}) {
  const objects = new Map<string, Buffer>();
  /** 'PUT key', as they came. */
  const requests: string[] = [];
  let denied = false;
  const server = createServer(async (request, response) => {
    const body = await bytesOf(request);
    const url = new URL(request.url!, 'http://host');
    const [, requested, ...rest] = decodeURIComponent(url.pathname).split('/');
    const key = rest.join('/');
    const fail = (status: number, code: string) =>
      response.writeHead(status).end(`<Error><Code>${code}</Code><Message>no: ${code}</Message></Error>`);
    if (unavailable-- > 0) return fail(500, 'InternalError');
    if (denied || !isSigned(request, url, body)) return fail(403, 'SignatureDoesNotMatch');
    if (requested !== bucket) return fail(404, 'NoSuchBucket');
    requests.push(`${request.method} ${key || url.searchParams.get('prefix')}`);
    if (request.method === 'PUT') {
      objects.set(key, body);
      return response.end();
    }
    if (key) {
      const found = objects.get(key);
      return found ? response.end(found) : fail(404, 'NoSuchKey');
    }
    const prefix = url.searchParams.get('prefix') ?? '';
    const after = url.searchParams.get('continuation-token') ?? '';
    const names = [...objects.keys()].filter((name) => name.startsWith(prefix) && name > after).sort();
    const shown = names.slice(0, page);
    const more = names.length > page;
    response.end(
      `<ListBucketResult><IsTruncated>${more}</IsTruncated>` +
        (more ? `<NextContinuationToken>${shown.at(-1)}</NextContinuationToken>` : '') +
        shown.map((name) => `<Contents><Key>${name}</Key></Contents>`).join('') +
        '</ListBucketResult>',
    );
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  const env = {
    AWS_ENDPOINT_URL: `http://127.0.0.1:${port}`,
    AWS_ACCESS_KEY_ID: credentials.id,
    AWS_SECRET_ACCESS_KEY: credentials.secret,
  };
  /** Refuses all credentials, or takes the right ones again. */
  const deny = (all: boolean) => {
    denied = all;
  };
  return { objects, requests, env, deny, close: () => server.close().closeAllConnections() };
}

async function bytesOf(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

const sha256 = (data: string | Buffer) => createHash('sha256').update(data).digest('hex');
const hmac = (key: string | Buffer, text: string) => createHmac('sha256', key).update(text).digest();
const encode = (text: string) =>
  encodeURIComponent(text).replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`);

/** "Authenticating Requests: Using the Authorization Header" of the Amazon S3 API reference. */
function isSigned({ headers, method }: IncomingMessage, url: URL, body: Buffer): boolean {
  const [, id, scope, signed, signature] =
    /Credential=([^/]+)\/(\S+), ?SignedHeaders=(\S+), ?Signature=(\w+)/.exec(headers.authorization ?? '') ??
    [];
  const hash = headers['x-amz-content-sha256'];
  if (id !== credentials.id || (hash !== 'UNSIGNED-PAYLOAD' && hash !== sha256(body))) return false;
  const query = [...url.searchParams].map(([name, value]) => `${encode(name)}=${encode(value)}`).sort();
  const path = url.pathname.split('/').map((part) => encode(decodeURIComponent(part)));
  const canonical = [
    method,
    path.join('/'),
    query.join('&'),
    ...signed.split(';').map((name) => `${name}:${String(headers[name]).trim()}`),
    '',
    signed,
    hash,
  ].join('\n');
  const text = ['AWS4-HMAC-SHA256', headers['x-amz-date'], scope, sha256(canonical)].join('\n');
  const key = scope.split('/').reduce<string | Buffer>(hmac, `AWS4${credentials.secret}`);
  return hmac(key, text).toString('hex') === signature;
}
