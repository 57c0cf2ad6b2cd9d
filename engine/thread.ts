import { Worker } from 'node:worker_threads';
import { messageOf, UserError } from '../common/errors.ts';
import type { Device } from './devices/contract.ts';
import type { Spec } from './graph.ts';
import { copyTensors, Parcel } from './parcel.ts';
import type { Randomness } from './random.ts';
import { type Executable, type Model, modelOf } from './session.ts';

/** What a thread is asked; it answers every request with an Answer of the same number. */
export type Request =
  | {
      kind: 'load';
      session: number;
      model: Model;
      inputs: [string, Spec][];
      outputs: [string, Spec][];
      /** A Parcel of inputs and outputs: what runs read and write. */
      shared: SharedArrayBuffer;
    }
  | { kind: 'run'; session: number; randomness: Randomness }
  | { kind: 'release'; session: number };
export type Answer = { number: number; error?: string };

/** A device whose graphs run in a thread of their own, one operation at a time, while this thread does other things. */
export interface ThreadDevice extends Device {
  close(): Promise<void>;
}

/**
 * Starts a thread that runs graphs. What a run reads and writes is copied through memory that both threads see: it pays
 * where a graph computes for much longer than its parameters and gradients take to copy. (Buffers that went to the thread and
 * came back would count as new memory every time, and keep the garbage collector busy.)
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

  const ask = (request: Request): Promise<Answer> => {
    if (ended) return Promise.reject(ended);
    const number = requests++;
    // A process does not end while it waits for an answer.
    worker.ref();
    return new Promise((resolve, reject) => {
      waiting.set(number, { resolve, reject });
      worker.postMessage({ number, request });
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
      const parcel = new Parcel([...inputs, ...outputs]);
      const shared = new SharedArrayBuffer(parcel.bytes);
      const tensors = parcel.open(shared);
      check(await ask({ kind: 'load', session, model, inputs, outputs, shared }));
      return {
        async run(feeds, results, randomness) {
          copyTensors(feeds, tensors, inputs);
          check(await ask({ kind: 'run', session, randomness }));
          copyTensors(tensors, results, outputs);
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
