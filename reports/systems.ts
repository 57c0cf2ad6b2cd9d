import { hashJson } from '../common/files.ts';
import { groupBy } from '../common/group.ts';
import { type FinishedRun, type LeftOut, nameOf } from './runs.ts';

/** Runs that differ in their seed alone, measured on the same test rows. */
export interface Group {
  model: string;
  encoder: string | null;
  /** Where there are several of the same model and encoder: the settings that tell them apart, 'model.layers=1'. */
  settings: string;
  dataset: string;
  rowsHash: string;
  /** One a seed. */
  runs: FinishedRun[];
}

/** Settings that do not make a model another one: where and how it was computed, measured and watched. */
const incidental = /^(seed|device|threads|spinning|run\..*|eval\..*|tracking\..*|train\.checkpointSeconds)$/;

/**
 * Puts the seeds of each model together. Of runs that repeat each other, seed and all, the last counts.
 */
export function groupRuns(runs: readonly FinishedRun[]): { groups: Group[]; leftOut: LeftOut[] } {
  const leftOut: LeftOut[] = [];
  const kinds = groupBy(runs, ({ result, rowsHash }) =>
    hashJson([result.model, result.encoder, result.dataset, rowsHash]),
  );
  const groups = kinds.flatMap((sameKind) => {
    const variants = groupBy(sameKind, ({ settings }) => hashJson(decisive(settings)));
    const telling = differing(variants.map(([first]) => decisive(first.settings)));
    return variants.map((variant): Group => {
      const [{ result, settings, rowsHash }] = variant;
      const seeds = groupBy(variant, (run) => String(run.result.seed)).map((repeats) => {
        const sorted = repeats.toSorted((a, b) => (nameOf(a) < nameOf(b) ? -1 : 1));
        const kept = sorted.pop()!;
        leftOut.push(...sorted.map(({ folder }) => ({ folder, reason: `repeated by ${nameOf(kept)}` })));
        return kept;
      });
      return {
        model: result.model,
        encoder: result.encoder,
        settings: telling.map((key) => `${key}=${shown(settings[key])}`).join(', '),
        dataset: result.dataset,
        rowsHash,
        runs: seeds.sort((a, b) => a.result.seed - b.result.seed),
      };
    });
  });
  return { groups, leftOut };
}

function decisive(settings: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(settings).filter(([key]) => !incidental.test(key)));
}

/** The keys whose values are not the same in all. */
function differing(all: readonly Record<string, unknown>[]): string[] {
  const keys = [...new Set(all.flatMap((settings) => Object.keys(settings)))];
  return keys.filter((key) => new Set(all.map((settings) => JSON.stringify(settings[key]))).size > 1);
}

const shown = (value: unknown) => (typeof value === 'string' ? value : (JSON.stringify(value) ?? 'unset'));
