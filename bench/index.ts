import { mkdir, writeFile } from 'node:fs/promises';
import { cpus } from 'node:os';
import type { Bench } from './bench.ts';
import { ml100k } from './ml100k.ts';

const benches: Bench[] = [ml100k];

const [name, ...options] = process.argv.slice(2);
const chosen = name ? benches.filter((b) => b.name === name) : benches;
if (!chosen.length) {
  console.error(`unknown bench '${name}'. Must be one of [${benches.map((b) => b.name).join(', ')}].`);
  process.exit(2);
}
for (const bench of chosen) {
  console.log(`${bench.name}: ${bench.describe}`);
  const rows = await bench.run(options);
  console.table(rows);
  const folder = new URL('./results/', import.meta.url);
  await mkdir(folder, { recursive: true });
  const machine = { cpu: cpus()[0]?.model, cores: cpus().length, node: process.version };
  await writeFile(
    new URL(`${bench.name}.json`, folder),
    `${JSON.stringify({ bench: bench.name, machine, rows }, null, 2)}\n`,
  );
}
