import type { Graph } from '../../graph.ts';
import { encodeOnnx } from '../../onnx.ts';
import type { Executable } from '../../session.ts';
import { lower } from './lower.ts';
import { createGpuSession, hostTensor, runGpu } from './runtime.ts';

/** Makes a graph ready whose constants stay on the card, and whose inputs and results are host memory. */
export async function loadGraph(graph: Graph, strict: boolean): Promise<Executable> {
  lower(graph);
  // What was rewritten has constants that nobody reads any more.
  graph.finish();
  const session = await createGpuSession(encodeOnnx(graph), { strict });
  return {
    async run(feeds, results) {
      const inputs = Object.entries(feeds).map(async ([name, tensor]) => [name, await hostTensor(tensor)]);
      const outputs = await runGpu(session, Object.fromEntries(await Promise.all(inputs)));
      for (const [name, { data }] of Object.entries(results)) data.set(outputs[name].data as Float32Array);
    },
    release: () => session.release(),
  };
}
