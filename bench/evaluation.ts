import { availableParallelism } from 'node:os';
import { Progress } from '../common/progress.ts';
import { seeded } from '../common/random.ts';
import { type Dataset, dataSettings, loadDataset, type Rows, resolveSource } from '../data/index.ts';
import { cpuDevice, Parameters } from '../engine/index.ts';
import { rankAll, type Scorer } from '../evaluation/ranking.ts';
import { evalSettings } from '../evaluation/settings.ts';
import { models } from '../models/index.ts';
import type { TextTable } from '../training/objective.ts';
import { ModelScorer } from '../training/scorer.ts';
import { type Bench, type BenchRow, median, round, watched } from './bench.ts';
import { productLimits } from './limits.ts';
import { findTorch } from './peers/torch.ts';

const TURNS = 3;
const MAX_HISTORY = 50;
const TEXT_DIMS = 768;
/** Rows a second of RecBole's full ranking of 115,815 items on another machine with two cores, PyTorch 1.13. */
const recbole: Record<string, number> = { sasrec: 2162, unisrec: 149 };

/** A way to evaluate, and the seconds that its turns took. */
interface Way {
  scorer: Scorer;
  lists: boolean;
  rows: Rows;
  seconds: number[];
}

export const evaluation: Bench = {
  name: 'evaluation',
  describe: `full ranking of games-size by untrained models (options: models of [${Object.keys(recbole).join()}]; rows; threads)`,
  async run([names = Object.keys(recbole).join(), rowCount = '4096', threadCount]) {
    const threads = Number(threadCount ?? availableParallelism());
    const limit = await productLimits(threads, findTorch());
    const settings = dataSettings.parse({});
    const dataset = await loadDataset(resolveSource('games-size'), settings, {
      progress: new Progress(),
      seed: 1,
    });
    const rows: BenchRow[] = [];
    for (const name of names.split(',')) {
      rows.push(await measure(name, dataset, { count: Number(rowCount), threads, best: limit.best }));
      console.error(rows.at(-1));
    }
    const notes = [
      'rows/s: encoding of histories and ranking, as at the end of an epoch; with lists: as on the test rows, with coverage and popularity',
      'from scores: the same where every score is given out and looked at',
      `limit: the products of queries and items alone at ${round(limit.best, 0)} GFLOP/s`,
      'peak rss: of the process so far, dataset and text vectors included',
      'others %: largest share of the cores that other processes took during a turn; above a few, the row is disturbed',
    ];
    const title = `${dataset.itemCount} items, ${rowCount} rows, median of ${TURNS} turns, ${threads} threads`;
    return [{ title, rows, notes }, limit.table];
  },
};

async function measure(
  name: string,
  dataset: Dataset,
  { count, threads, best }: { count: number; threads: number; best: number },
): Promise<BenchRow> {
  const entry = models.get(name);
  if (entry.kind !== 'trained' || !recbole[name])
    throw new Error(`unknown model '${name}'. Must be one of [${Object.keys(recbole).join(', ')}].`);
  const text = entry.input === 'id' ? undefined : randomTexts(dataset.itemCount);
  const parameters = new Parameters({ seed: 1 });
  const model = entry.build(entry.config.parse({}), {
    itemCount: dataset.itemCount,
    textDims: text?.shape[1] ?? 0,
    maxHistory: MAX_HISTORY,
    parameters,
  });
  const device = cpuDevice({ threads });
  const scorer = new ModelScorer(model, dataset, text, MAX_HISTORY, { parameters, device });
  const started = performance.now();
  await scorer.refresh();
  const refreshed = performance.now() - started;
  const rows = sample(dataset.test, count);
  const few = sample(dataset.test, Math.ceil(count / 8));
  const fromScores: Scorer = { score: (...tile) => scorer.score(...tile) };
  const ways: Record<'ours' | 'lists' | 'scores', Way> = {
    ours: { scorer, lists: false, rows, seconds: [] },
    lists: { scorer, lists: true, rows: few, seconds: [] },
    scores: { scorer: fromScores, lists: false, rows: few, seconds: [] },
  };
  const others: number[] = [];
  // The first turn compiles.
  for (let turn = 0; turn <= TURNS; turn++) {
    for (const way of Object.values(ways)) {
      const { result, others: share } = await watched(() => evaluate(dataset, way));
      if (turn === 0) continue;
      way.seconds.push(result.seconds);
      others.push(share);
    }
  }
  await scorer.close();
  parameters.dispose();
  const perSecond = ({ rows, seconds }: Way) => rows.target.length / median(seconds);
  const d = Number(entry.config.parse({}).hiddenSize);
  const limit = (best * 1e9) / (2 * dataset.itemCount * d);
  return {
    model: name,
    'rows/s': round(perSecond(ways.ours), 0),
    'RecBole rows/s': recbole[name],
    'times faster': round(perSecond(ways.ours) / recbole[name], 1),
    'with lists': round(perSecond(ways.lists), 0),
    'from scores': round(perSecond(ways.scores), 0),
    'limit rows/s': round(limit, 0),
    'times the limit': round(limit / perSecond(ways.ours), 2),
    'item vectors ms': round(refreshed, 0),
    'peak rss MB': round(process.resourceUsage().maxRSS / 1024, 0),
    'others %': round(100 * Math.max(...others), 0),
  };
}

async function evaluate(
  dataset: Dataset,
  { scorer, rows, lists }: Way,
): Promise<{ seconds: number; cpuMs: number }> {
  const before = process.cpuUsage();
  const started = performance.now();
  // A copy is not known from the turn before: its histories are encoded anew.
  await rankAll(dataset, { ...rows }, scorer, { ...evalSettings.parse({}), lists, progress: new Progress() });
  const seconds = (performance.now() - started) / 1000;
  const { user, system } = process.cpuUsage(before);
  return { seconds, cpuMs: (user + system) / 1000 };
}

/** Every n-th row. */
function sample({ user, start, end, target }: Rows, count: number): Rows {
  const step = Math.max(1, Math.floor(target.length / count));
  const take = (values: Int32Array) =>
    Int32Array.from({ length: Math.min(count, target.length) }, (_, i) => values[i * step]);
  return { user: take(user), start: take(start), end: take(end), target: take(target) };
}

function randomTexts(items: number): NonNullable<TextTable> {
  const random = seeded('bench texts');
  const data = Float32Array.from({ length: items * TEXT_DIMS }, () => random.uniform() - 0.5);
  return { dtype: 'float32', shape: [items, TEXT_DIMS], data };
}
