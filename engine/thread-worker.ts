import { parentPort } from 'node:worker_threads';
import { messageOf } from '../common/errors.ts';
import type { HostTensor, Spec } from './graph.ts';
import { Parcel } from './parcel.ts';
import { type Executable, openSession } from './session.ts';
import type { Answer, Request } from './thread.ts';

/** A loaded graph and the contents of its parcels. */
interface Loaded {
  executable: Executable;
  parcel: Parcel;
  inputs: readonly [string, Spec][];
  outputs: readonly [string, Spec][];
}
const loaded = new Map<number, Loaded>();

async function serve(request: Request): Promise<void> {
  const { session } = request;
  if (request.kind === 'load') {
    const { inputs, outputs, model } = request;
    const executable = await openSession(model, { threads: 1 });
    loaded.set(session, { executable, inputs, outputs, parcel: new Parcel([...inputs, ...outputs]) });
    return;
  }
  const { executable, parcel, inputs, outputs } = loaded.get(session)!;
  if (request.kind === 'release') {
    loaded.delete(session);
    await executable.release();
    return;
  }
  const tensors = parcel.open(request.parcel);
  await executable.run(pick(tensors, inputs), pick(tensors, outputs), request.randomness);
}

const pick = (tensors: Record<string, HostTensor>, names: readonly [string, Spec][]) =>
  Object.fromEntries(names.map(([name]) => [name, tensors[name]]));

parentPort!.on('message', async ({ number, request }: { number: number; request: Request }) => {
  const answer: Answer = { number };
  await serve(request).catch((error) => {
    answer.error = messageOf(error);
  });
  if (request.kind === 'run') answer.parcel = request.parcel;
  parentPort!.postMessage(answer, answer.parcel ? [answer.parcel] : []);
});
