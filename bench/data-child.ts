import { Progress } from '../common/progress.ts';
import { dataSettings, loadDataset } from '../data/index.ts';

/**
 * Prepares the dataset of a folder in a process of its own, for its peak memory; argv is the folder, where to spill, and
 * the memory for tables in GB. Prints a line of JSON: seconds as a whole and by task, CPU seconds, peak MB, counts.
 */
const [path, tempFolder, memory] = process.argv.slice(2);
const tasks: Record<string, number> = {};
let task = '';
let begun = 0;
const progress = new Progress((event) => {
  if (event.kind === 'begin') [task, begun] = [event.task, performance.now()];
  else if (event.kind === 'end') tasks[task] = (performance.now() - begun) / 1000;
});
const started = performance.now();
const settings = dataSettings.parse({ split: 'timestamp', tempFolder, memoryGB: Number(memory) });
const { manifest, itemTexts } = await loadDataset({ name: 'bench', path }, settings, { progress, seed: 1 });
const { user, system } = process.cpuUsage();
console.log(
  JSON.stringify({
    seconds: (performance.now() - started) / 1000,
    tasks,
    cpuMs: (user + system) / 1000,
    peakMb: process.resourceUsage().maxRSS / 1024,
    heapMb: process.memoryUsage().heapUsed / 2 ** 20,
    counts: manifest.counts,
    texts: itemTexts?.length,
  }),
);
