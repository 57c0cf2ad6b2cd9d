import { Worker } from 'node:worker_threads';
import { messageOf, UserError } from '../common/errors.ts';
import type { Device } from './devices/contract.ts';
import { type HostTensor, type Spec, sizeOf } from './graph.ts';
import { Parcel } from './parcel.ts';
import type { Randomness } from './random.ts';
import { type Executable, type Model, modelOf } from './session.ts';

/** What a thread is asked; it answers every request with an Answer of the same number. */
export type Request =
  | { kind: 'load'; session: number; model: Model; inputs: [string, Spec][]; outputs: [string, Spec][] }
  | { kind: 'run'; session: number; parcel: ArrayBuffer; randomness: Randomness }
  | { kind: 'release'; session: number };
/** `parcel` comes back with errors, too. */
export type Answer = { number: number; parcel?: ArrayBuffer; error?: string };

/** A device whose graphs run in a thread of their own, one operation at a time, while this thread does other things. */
export interface ThreadDevice extends Device {
  close(): Promise<void>;
}

/**
 * Starts a thread that runs graphs. What a run reads and writes is copied into a buffer that goes to the thread and comes
 * back: it pays where a graph computes for much longer than its parameters and gradients take to copy.
 */
export function openThread(): ThreadDevice {
  const worker = new Worker(new URL('./thread-entry.js', import.meta.url), { stdout: true });
  worker.stdout.pipe(process.stderr, { end: false });
  worker.unref();
  const waiting = new Map<number, { resolve(answer: Answer): void; reject(error: Error): void }>();
  let requests = 0;
  let sessions = 0;
  /** Why the thread is no more: whoever asks it later is told so, too. */
  let ended: Error | undefined;
  const settle = (error: Error) => {
    ended ??= error;
    for (const { reject } of waiting.values()) reject(ended);
    waiting.clear();
  };
  worker.on('message', (answer: Answer) => {
    const asked = waiting.get(answer.number);
    waiting.delete(answer.number);
    if (!waiting.size) worker.unref();
    asked?.resolve(answer);
  });
  worker.on('error', (error) =>
    settle(new UserError(`a computing thread died: ${messageOf(error)}`, { cause: error })),
  );
  worker.on('exit', () => settle(new UserError('a computing thread ended before it answered')));

  const ask = (request: Request, transfer: ArrayBuffer[] = []): Promise<Answer> => {
    if (ended) return Promise.reject(ended);
    const number = requests++;
    // A process does not end while it waits for an answer.
    worker.ref();
    return new Promise((resolve, reject) => {
      waiting.set(number, { resolve, reject });
      worker.postMessage({ number, request }, transfer);
    });
  };

  return {
    name: 'cpu',
    reason: 'a thread beside the main one',
    threads: 1,
    inHostMemory: true,
    async load(graph): Promise<Executable> {
      const session = sessions++;
      const model = modelOf(graph);
      const random = new Set(model.randomInputs.map(({ name }) => name));
      const inputs = [...graph.inputs].filter(([name]) => !random.has(name)).map(specOf);
      const outputs = [...graph.outputs].map(specOf);
      check(await ask({ kind: 'load', session, model, inputs, outputs }));
      const parcel = new Parcel([...inputs, ...outputs]);
      let buffer = new ArrayBuffer(parcel.bytes);
      return {
        async run(feeds, results, randomness) {
          copy(feeds, parcel.open(buffer), inputs);
          const answer = await ask({ kind: 'run', session, parcel: buffer, randomness }, [buffer]);
          buffer = answer.parcel!;
          check(answer);
          copy(parcel.open(buffer), results, outputs);
        },
        async release() {
          if (!ended) check(await ask({ kind: 'release', session }));
        },
      };
    },
    async close() {
      worker.ref();
      await worker.terminate();
    },
  };
}

function check({ error }: Answer): void {
  if (error !== undefined) throw new UserError(error);
}

const specOf = ([name, { dtype, shape }]: [string, Spec]): [string, Spec] => [name, { dtype, shape }];

function copy(
  from: Record<string, HostTensor>,
  to: Record<string, HostTensor>,
  names: readonly [string, Spec][],
): void {
  for (const [name, { shape }] of names) {
    const { length } = from[name].data;
    if (length !== sizeOf(shape))
      throw new UserError(`'${name}' of shape [${shape}] was given ${length} elements`);
    to[name].data.set(from[name].data);
  }
}
