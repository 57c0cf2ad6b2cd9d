import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { copyFile, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { availableParallelism, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { Progress } from '../common/progress.ts';
import { seeded } from '../common/random.ts';
import { type Tensor, writeSafetensors } from '../common/safetensors.ts';
import { dataSettings, loadDataset, resolveSource } from '../data/index.ts';
import { encoders } from '../encoders/index.ts';
import { readRobertaConfig } from '../encoders/roberta-files.ts';
import { robertaShapes } from '../encoders/roberta-model.ts';
import { type Bench, type BenchRow, round, watched } from './bench.ts';
import { findTorch, TORCH_MISSING, type Torch, TorchProcess } from './peers/torch.ts';

const DATA = resolve('../shared/data');
const TURNS = 4;
const SETS = ['amazon2018-scientific', 'amazon2018-magazine-raw'];

/** Seconds of some texts, by the clock and of all threads' CPUs, and the vectors of the first of them. */
interface Block {
  ms: number;
  cpuMs: number;
  vectors: number[][];
}

interface Side {
  name: string;
  encode(from: number, to: number): Promise<Block>;
  close(): Promise<void>;
}

export const encode: Bench = {
  name: 'encode',
  describe: `item texts through a model of roberta-base's size, beside PyTorch, in turns (options: texts [2000]; datasets of [${SETS}])`,
  async run([count = '2000', sets = SETS.join()]) {
    if (!existsSync(DATA)) throw new Error(`${DATA} is not there: texts and tokenizer are read from it`);
    const torch = findTorch();
    if (!torch) console.error(`\n*** ${TORCH_MISSING} ***\n`);
    const folder = await mkdtemp(join(tmpdir(), 'rec-encode-'));
    try {
      await writeModel(folder);
      const tables = [];
      for (const dataset of sets.split(',')) {
        const texts = await someTexts(dataset, Number(count));
        const rows = await measure(folder, texts, torch);
        console.error(dataset, rows);
        tables.push({
          title: `${texts.length} texts of ${dataset}, ${availableParallelism()} threads, in ${TURNS} turns`,
          rows,
          notes: [
            'official: batches of 16 in the order of the file, padded, up to 512 tokens, in PyTorch',
            'CPU: the same ratio in CPU time of all threads, which other processes disturb less',
            'cosine: least of a few texts, to the first row with vectors of 32-bit floats',
            'weights are random: cosines of int8 say little of trained ones',
          ],
        });
      }
      return tables;
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  },
};

async function measure(folder: string, texts: string[], torch: Torch | undefined): Promise<BenchRow[]> {
  const threads = availableParallelism();
  const file = join(folder, 'texts.json');
  await writeFile(file, JSON.stringify(texts));
  const sides: Side[] = [];
  const startPeer = (name: string) => {
    const peer = new TorchProcess(torch!, './encode.py', { folder, threads, texts: file, way: name });
    sides.push({ name, encode: (from, to) => peer.ask<Block>({ from, to }), close: () => peer.close() });
  };
  if (torch) startPeer('official');
  if (torch && has(torch, 'sentence_transformers')) startPeer('sentence-transformers');
  for (const precision of ['f32', 'int8'] as const)
    sides.push(await ownSide(folder, texts, precision, threads));

  const times = sides.map(() => ({ ms: 0, cpuMs: 0, others: 0, vectors: [] as number[][] }));
  // Loads, compiles and lets allocators settle.
  for (const side of sides) await side.encode(0, Math.min(texts.length, 16));
  for (let turn = 0; turn < TURNS; turn++) {
    const [from, to] = [turn, turn + 1].map((n) => Math.floor((n * texts.length) / TURNS));
    for (const [i, side] of sides.entries()) {
      const { result, others } = await watched(() => side.encode(from, to));
      const total = times[i];
      total.ms += result.ms;
      total.cpuMs += result.cpuMs;
      total.others = Math.max(total.others, others);
      total.vectors.push(...result.vectors);
    }
  }
  for (const side of sides) await side.close();
  const [first] = times;
  return sides.map(({ name }, i) => {
    const { ms, cpuMs, others, vectors } = times[i];
    const peers = Object.fromEntries(
      sides.slice(0, -2).flatMap((peer, p) => [
        [`times ${peer.name}`, round(times[p].ms / ms, 2)],
        [`CPU ${peer.name}`, round(times[p].cpuMs / cpuMs, 2)],
      ]),
    );
    const row = {
      way: name,
      'texts/s': round((1000 * texts.length) / ms, 1),
      ...peers,
      cosine: round(Math.min(...vectors.map((v, k) => cosine(v, first.vectors[k]))), 5),
      'others %': round(100 * others, 0),
    };
    if (name !== 'rec int8' && row.cosine < 0.9999)
      throw new Error(`${name}: other vectors than ${sides[0].name}`);
    return row;
  });
}

async function ownSide(
  folder: string,
  texts: string[],
  precision: 'f32' | 'int8',
  threads: number,
): Promise<Side> {
  const family = encoders.get('roberta');
  const settings = family.config.parse({ model: folder, precision });
  const encoder = await family.open(settings, { seed: 1, threads, progress: new Progress() });
  return {
    name: `rec ${precision}`,
    async encode(from, to) {
      const cpu = process.cpuUsage();
      const started = performance.now();
      // As `rec encode` does: longest first, duplicates once.
      const order = [...new Set(texts.slice(from, to))].sort((a, b) => b.length - a.length);
      const vectors = new Map<string, number[]>();
      await encoder.embed(order, async (first, values) => {
        for (let i = 0; i * encoder.dims < values.length; i++)
          vectors.set(order[first + i], [...values.subarray(i * encoder.dims, (i + 1) * encoder.dims)]);
      });
      const ms = performance.now() - started;
      const { user, system } = process.cpuUsage(cpu);
      return {
        ms,
        cpuMs: (user + system) / 1000,
        vectors: texts.slice(from, from + 8).map((t) => vectors.get(t)!),
      };
    },
    close: () => encoder.close(),
  };
}

const has = ({ python }: Torch, module: string) => spawnSync(python, ['-c', `import ${module}`]).status === 0;

function cosine(a: readonly number[], b: readonly number[]): number {
  const dot = (x: readonly number[], y: readonly number[]) =>
    x.reduce((sum, value, i) => sum + value * y[i], 0);
  return dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b));
}

/** The first texts of a dataset, in its order. */
async function someTexts(name: string, count: number): Promise<string[]> {
  const context = { progress: new Progress(), seed: 1 };
  const { itemTexts } = await loadDataset(resolveSource(join(DATA, name)), dataSettings.parse({}), context);
  return (itemTexts?.slice(0, count) ?? []).filter((text) => text.trim());
}

/** A folder with random weights of roberta-base's shape and its tokenizer. */
async function writeModel(folder: string): Promise<void> {
  const config = {
    model_type: 'roberta',
    architectures: ['RobertaModel'],
    num_hidden_layers: 12,
    num_attention_heads: 12,
    hidden_size: 768,
    intermediate_size: 3072,
    vocab_size: 50265,
    max_position_embeddings: 514,
    type_vocab_size: 1,
    pad_token_id: 1,
    layer_norm_eps: 1e-5,
  };
  await writeFile(join(folder, 'config.json'), JSON.stringify(config));
  const tensors: [string, Tensor][] = [];
  for (const [name, shape] of robertaShapes(await readRobertaConfig(folder))) {
    const random = seeded(name);
    const data = new Float32Array(shape.reduce((a, b) => a * b, 1));
    const centre = /LayerNorm.weight$/.test(name) ? 1 : 0;
    // Uniform, of RoBERTa's standard deviation 0.02.
    for (let i = 0; i < data.length; i++) data[i] = centre + 0.0693 * (random.uniform() - 0.5);
    tensors.push([name, { dtype: 'F32', shape, data }]);
  }
  await writeSafetensors(join(folder, 'model.safetensors'), tensors, { format: 'pt' });
  const tokenizer = join(DATA, 'roberta-tokenizer');
  await copyFile(join(tokenizer, 'tokenizer.roberta-base-settings.json'), join(folder, 'tokenizer.json'));
  // Not tokenizer_config.json, which is another model's.
  for (const file of ['vocab.json', 'merges.txt']) await copyFile(join(tokenizer, file), join(folder, file));
}
