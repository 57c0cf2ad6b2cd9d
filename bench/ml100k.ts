import type { EpochRecord } from '../training/checkpoint.ts';
import { type Bench, type BenchRow, type BenchTable, mean, round, spread } from './bench.ts';
import { type Run, runOnce, sharedData } from './runs.ts';

interface Peer {
  /** Training seconds an epoch, and seconds of one evaluation of the validation rows. */
  seconds: number;
  evalSeconds: number;
  /** The epoch of the best validation NDCG@10, and that NDCG@10. */
  bestEpoch: number;
  valid: number;
  /** NDCG@10 and Recall@10 on test. */
  test: number;
  recall: number;
  rssGb: number;
}

/** RecBole on the same rows and vectors, batch 512, on another machine with two cores, one seed, PyTorch 1.13. */
const recbole: Record<string, Peer> = {
  gru4rec: {
    seconds: 2.24,
    evalSeconds: 0.05,
    bestEpoch: 24,
    valid: 0.0642,
    test: 0.0424,
    recall: 0.091,
    rssGb: 0.4,
  },
  sasrec: {
    seconds: 4.48,
    evalSeconds: 0.1,
    bestEpoch: 11,
    valid: 0.0743,
    test: 0.0562,
    recall: 0.1182,
    rssGb: 0.5,
  },
  'sasrec-text': {
    seconds: 8.68,
    evalSeconds: 0.21,
    bestEpoch: 14,
    valid: 0.0731,
    test: 0.053,
    recall: 0.1119,
    rssGb: 0.5,
  },
  unisrec: {
    seconds: 40.3,
    evalSeconds: 0.76,
    bestEpoch: 17,
    valid: 0.0646,
    test: 0.0467,
    recall: 0.1124,
    rssGb: 1.1,
  },
};

/** How far a mean may lie below RecBole's figure. */
const TOLERANCE = 0.002;

/** Whole runs of every model at RecBole's settings, to the early stop; a mean over seeds. */
export const ml100k: Bench = {
  name: 'ml100k',
  describe:
    'full runs on ml100k-r5h5 at batch 512 beside RecBole (options: seeds, models; e.g. 1,2,3 sasrec,unisrec)',
  async run([seeds = '1,2,3,4,5', models = Object.keys(recbole).join()]) {
    const data = sharedData('ml100k-r5h5');
    const tables: { [kind in 'cost' | 'quality' | 'time']: BenchRow[] } = { cost: [], quality: [], time: [] };
    for (const model of models.split(',')) {
      const peer = recbole[model];
      if (!peer)
        throw new Error(`unknown model '${model}'. Must be one of [${Object.keys(recbole).join(', ')}].`);
      const runs: Run[] = [];
      for (const seed of seeds.split(',')) runs.push(await oneRun(data, model, seed));
      tables.cost.push(cost(model, runs, peer));
      tables.quality.push(quality(model, runs, peer));
      tables.time.push(timeToQuality(model, runs, peer));
      for (const rows of Object.values(tables)) console.error(rows.at(-1));
    }
    return titled(tables);
  },
};

const titled = ({ cost, quality, time }: Record<'cost' | 'quality' | 'time', BenchRow[]>): BenchTable[] => [
  { title: 'cost', rows: cost },
  {
    title: 'quality, mean +- standard deviation over the seeds',
    rows: quality,
    notes: [`floor: RecBole's test NDCG@10 - ${TOLERANCE}; RecBole's figures are one seed`],
  },
  {
    title:
      "wall seconds to RecBole's best validation NDCG@10: training and evaluation, until the first such epoch",
    rows: time,
    notes: [
      "RecBole's: (seconds an epoch + seconds of an evaluation) x best epoch; ours: mean of the seeds that reach it, others are left out",
    ],
  },
];

function oneRun(data: string, model: string, seed: string): Promise<Run> {
  const encoder = model === 'gru4rec' || model === 'sasrec' ? [] : ['--encoder', 'file'];
  const what = ['--model', model, '--dataset', data, ...encoder, '--seed', seed];
  return runOnce([...what, '--set', 'train.batchSize=512']);
}

function cost(model: string, runs: Run[], peer: Peer): BenchRow {
  const seconds = mean(runs.map((r) => r.result.timing.trainSecondsPerEpoch));
  return {
    model,
    seeds: runs.length,
    's/epoch': round(seconds, 3),
    'RecBole s/epoch': peer.seconds,
    'times faster': round(peer.seconds / seconds, 1),
    'best epoch': round(mean(runs.map((r) => r.result.epochs.best)), 1),
    'rss MB': Math.round(Math.max(...runs.map((r) => r.result.peakRssMb))),
    'RecBole rss MB': peer.rssGb * 1000,
  };
}

function quality(model: string, runs: Run[], peer: Peer): BenchRow {
  const test = runs.map((r) => r.result.test['ndcg@10']);
  const floor = peer.test - TOLERANCE;
  return {
    model,
    seeds: runs.length,
    'valid N@10': spread(runs.map((r) => r.result.valid['ndcg@10'])),
    'RecBole valid': peer.valid,
    'test N@10': spread(test),
    'RecBole test': peer.test,
    floor: round(floor, 4),
    'mean clears floor': mean(test) >= floor ? 'yes' : 'NO',
    'test R@10': spread(runs.map((r) => r.result.test['recall@10'])),
    'RecBole R@10': peer.recall,
  };
}

function timeToQuality(model: string, runs: Run[], peer: Peer): BenchRow {
  const reached = runs
    .map(({ epochs }) => secondsToReach(epochs, peer.valid))
    .filter((seconds) => seconds !== undefined);
  const peerSeconds = (peer.seconds + peer.evalSeconds) * peer.bestEpoch;
  const seconds = reached.length ? mean(reached) : undefined;
  return {
    model,
    'valid N@10': peer.valid,
    reached: `${reached.length} of ${runs.length}`,
    seconds: seconds === undefined ? '-' : round(seconds, 2),
    'RecBole seconds': round(peerSeconds, 1),
    'times faster': seconds === undefined ? '-' : round(peerSeconds / seconds, 1),
  };
}

/**
 * Seconds of training and evaluation up to the end of the first epoch whose validation NDCG@10, to RecBole's four decimals,
 * is at least `target`; undefined where none is.
 */
function secondsToReach(epochs: readonly EpochRecord[], target: number): number | undefined {
  const decimals = (x: number) => Math.round(x * 1e4);
  const last = epochs.findIndex(({ valid }) => decimals(valid['ndcg@10']) >= decimals(target));
  if (last < 0) return undefined;
  return epochs.slice(0, last + 1).reduce((sum, e) => sum + e.trainSeconds + e.evalSeconds, 0);
}
