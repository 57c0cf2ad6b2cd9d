// The first code of a job's thread. Plain JavaScript: it makes TypeScript importable before anything else is imported.
import { parentPort, workerData } from 'node:worker_threads';
import { register } from 'tsx/esm/api';

register();

const { Progress } = await import('./progress.ts');
const { module, exportName, argument, cancelFlag } = workerData;

/** What of an error crosses to the other thread. */
function portable(error) {
  if (!(error instanceof Error)) return { name: 'Error', message: String(error) };
  const { name, message, stack, exitCode } = error;
  return {
    name,
    message,
    stack,
    exitCode,
    cause: error.cause === undefined ? undefined : portable(error.cause),
  };
}

const progress = new Progress(
  (event) => parentPort.postMessage({ event }),
  () => Atomics.load(cancelFlag, 0) === 1,
);

try {
  const exported = await import(module);
  if (typeof exported[exportName] !== 'function')
    throw new TypeError(`${module} exports no function '${exportName}'`);
  const result = await exported[exportName](argument, progress);
  parentPort.postMessage({ result });
} catch (error) {
  parentPort.postMessage({ error: portable(error) });
}
