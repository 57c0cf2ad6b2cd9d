import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

interface LoggedRun {
  experiment: string;
  name: string;
  status: string;
  endTime?: number;
  tags: Record<string, string>;
  params: Record<string, string>;
  /** In the order logged. */
  metrics: Record<string, [step: number, value: number][]>;
}

type Body = Record<string, unknown>;
class Fault extends Error {
  readonly status: number;
  readonly code: string;

  constructor(status: number, code: string, message: string) {
    super(message);
    this.status = status;
    this.code = code;
  }
}
const invalid = (message: string) => new Fault(400, 'INVALID_PARAMETER_VALUE', message);

/** A server that speaks the part of MLflow's REST API (2.0) that runs are logged by, with MLflow's own limits and checks. */
export class MlflowServer {
  readonly experiments = new Map<string, string>();
  readonly runs = new Map<string, LoggedRun>();
  /** Paths asked for, in order. */
  readonly asked: string[] = [];
  readonly authorizations = new Set<string | undefined>();
  /** Answers with this status, whatever is asked. */
  failing?: number;
  readonly #server: Server;

  constructor() {
    this.#server = createServer(async (request, response) => {
      try {
        const answer = this.#answer(request, await bodyOf(request));
        response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(answer));
      } catch (error) {
        const { status = 500, code = 'INTERNAL_ERROR', message } = error as Partial<Fault> & Error;
        response
          .writeHead(status, { 'content-type': 'application/json' })
          .end(JSON.stringify({ error_code: code, message }));
      }
    });
  }

  /** @param port the one that it had before; by default any */
  async listen(port = 0): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(port, '127.0.0.1', resolve));
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #answer(request: IncomingMessage, body: Body): unknown {
    const { pathname, searchParams } = new URL(request.url ?? '/', 'http://localhost');
    const path = /^\/api\/2\.0\/mlflow\/(.+)$/.exec(pathname)?.[1];
    this.asked.push(path ?? pathname);
    this.authorizations.add(request.headers.authorization);
    if (this.failing) throw new Fault(this.failing, 'FAILING', 'as told');
    const method = path === 'experiments/get-by-name' ? 'GET' : 'POST';
    if (request.method !== method) throw new Fault(405, 'METHOD', `${path} wants ${method}`);
    switch (path) {
      case 'experiments/get-by-name': {
        const name = searchParams.get('experiment_name') ?? '';
        const id = this.experiments.get(name);
        if (!id) throw new Fault(404, 'RESOURCE_DOES_NOT_EXIST', `no experiment ${name}`);
        return { experiment: { experiment_id: id, name } };
      }
      case 'experiments/create': {
        const name = String(body.name);
        if (this.experiments.has(name)) throw new Fault(400, 'RESOURCE_ALREADY_EXISTS', name);
        this.experiments.set(name, String(this.experiments.size + 1));
        return { experiment_id: this.experiments.get(name) };
      }
      case 'runs/create': {
        const experiment = [...this.experiments].find(([, id]) => id === body.experiment_id)?.[0];
        if (!experiment || typeof body.start_time !== 'number') throw invalid('experiment or start_time');
        const id = (this.runs.size + 1).toString(16).padStart(32, '0');
        this.runs.set(id, {
          experiment,
          name: String(body.run_name),
          status: 'RUNNING',
          tags: asRecord(body.tags),
          params: {},
          metrics: {},
        });
        return { run: { info: { run_id: id } } };
      }
      case 'runs/log-batch':
        logBatch(this.#run(body), body);
        return {};
      case 'runs/update': {
        const run = this.#run(body);
        if (!['RUNNING', 'FINISHED', 'FAILED', 'KILLED'].includes(String(body.status)))
          throw invalid('status');
        run.status = String(body.status);
        run.endTime = body.end_time as number | undefined;
        return { run_info: {} };
      }
      default:
        throw new Fault(404, 'ENDPOINT_NOT_FOUND', pathname);
    }
  }

  #run({ run_id: id }: Body): LoggedRun {
    const run = this.runs.get(String(id));
    if (!run) throw new Fault(404, 'RESOURCE_DOES_NOT_EXIST', `Run '${id}' not found`);
    return run;
  }
}

function logBatch(run: LoggedRun, body: Body): void {
  const { metrics = [], params = [] } = body as {
    metrics?: { key: string; value: unknown; timestamp: unknown; step: unknown }[];
    params?: { key: string; value: unknown }[];
  };
  if (metrics.length > 1000 || params.length > 100 || metrics.length + params.length > 1000)
    throw invalid('too many in one batch');
  for (const { key } of [...metrics, ...params])
    if (!/^[/\w.\- ]{1,250}$/.test(key)) throw invalid(`Invalid name: '${key}'`);
  for (const { key, value, timestamp, step } of metrics) {
    if (![value, timestamp, step].every((number) => typeof number === 'number'))
      throw invalid(`metric ${key}`);
    run.metrics[key] = [...(run.metrics[key] ?? []), [step as number, value as number]];
  }
  for (const { key, value } of params) {
    if (typeof value !== 'string' || value.length > 500) throw invalid(`param ${key}`);
    if (run.params[key] !== undefined && run.params[key] !== value)
      throw invalid(`Changing param values is not allowed: ${key}`);
    run.params[key] = value;
  }
}

const asRecord = (tags: unknown) =>
  Object.fromEntries((tags as { key: string; value: string }[]).map(({ key, value }) => [key, value]));

async function bodyOf(request: IncomingMessage): Promise<Body> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return chunks.length ? (JSON.parse(Buffer.concat(chunks).toString()) as Body) : {};
}
