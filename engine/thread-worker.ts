import { parentPort } from 'node:worker_threads';
import { messageOf } from '../common/errors.ts';
import { allocate, type HostTensor, type Spec } from './graph.ts';
import { copyTensors, Parcel } from './parcel.ts';
import { type Executable, openSession } from './session.ts';
import type { Answer, Request } from './thread.ts';

/** A loaded graph, and its inputs and outputs in memory of both threads and in memory that onnxruntime takes. */
interface Loaded {
  executable: Executable;
  inputs: readonly [string, Spec][];
  outputs: readonly [string, Spec][];
  shared: Record<string, HostTensor>;
  feeds: Record<string, HostTensor>;
  results: Record<string, HostTensor>;
}
const loaded = new Map<number, Loaded>();

const allocateAll = (specs: readonly [string, Spec][]): Record<string, HostTensor> =>
  Object.fromEntries(specs.map(([name, spec]) => [name, { ...spec, data: allocate(spec) }]));

async function serve(request: Request): Promise<void> {
  const { session } = request;
  if (request.kind === 'load') {
    const { inputs, outputs, model } = request;
    loaded.set(session, {
      executable: await openSession(model, { threads: 1 }),
      inputs,
      outputs,
      shared: new Parcel([...inputs, ...outputs]).open(request.shared),
      feeds: allocateAll(inputs),
      results: allocateAll(outputs),
    });
    return;
  }
  const { executable, inputs, outputs, shared, feeds, results } = loaded.get(session)!;
  if (request.kind === 'release') {
    loaded.delete(session);
    await executable.release();
    return;
  }
  copyTensors(shared, feeds, inputs);
  await executable.run(feeds, results, request.randomness);
  copyTensors(results, shared, outputs);
}

parentPort!.on('message', async ({ number, request }: { number: number; request: Request }) => {
  const answer: Answer = { number };
  await serve(request).catch((error) => {
    answer.error = messageOf(error);
  });
  parentPort!.postMessage(answer);
});
