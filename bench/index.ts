import { mkdir, writeFile } from 'node:fs/promises';
import { cpus, loadavg } from 'node:os';
import type { Bench } from './bench.ts';
import { blair } from './blair.ts';
import { data } from './data.ts';
import { devices } from './devices.ts';
import { encode } from './encode.ts';
import { evaluation } from './evaluation.ts';
import { games } from './games.ts';
import { limits } from './limits.ts';
import { ml100k } from './ml100k.ts';
import { pretraining } from './pretraining.ts';
import { quality } from './quality.ts';
import { search } from './search.ts';
import { spinning } from './spinning.ts';
import { steps } from './steps.ts';
import { transfer } from './transfer.ts';

const benches: Bench[] = [
  limits,
  steps,
  devices,
  spinning,
  encode,
  pretraining,
  evaluation,
  data,
  ml100k,
  games,
  quality,
  blair,
  transfer,
  search,
];

const [name, ...options] = process.argv.slice(2);
const chosen = name ? benches.filter((b) => b.name === name) : benches;
if (!chosen.length) {
  console.error(`unknown bench '${name}'. Must be one of [${benches.map((b) => b.name).join(', ')}].`);
  process.exit(2);
}
for (const bench of chosen) {
  console.log(`${bench.name}: ${bench.describe}`);
  // Figures of a machine that was busy before the bench began are not worth much: the load is kept beside them.
  const loadBefore = Number(loadavg()[0].toFixed(2));
  const tables = await bench.run(options);
  for (const { title, rows, notes = [] } of tables) {
    console.log(`\n${title}`);
    console.table(rows);
    for (const note of notes) console.log(`- ${note}`);
  }
  const folder = new URL('./results/', import.meta.url);
  await mkdir(folder, { recursive: true });
  const machine = { cpu: cpus()[0]?.model, cores: cpus().length, node: process.version, loadBefore };
  await writeFile(
    new URL(`${bench.name}.json`, folder),
    `${JSON.stringify({ bench: bench.name, machine, tables }, null, 2)}\n`,
  );
}
