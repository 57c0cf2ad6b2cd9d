import { join, resolve } from 'node:path';
import { messageOf, UsageError, unknownName } from '../common/errors.ts';
import { hashJson } from '../common/files.ts';
import { leavesOf, type Values } from '../configs/values.ts';
import { resolvePretraining } from '../training/pretraining/options.ts';
import { runName } from '../training/run-folder.ts';
import type { SweepFile } from './file.ts';
import type { Trial } from './plan.ts';

/** Encoders that the sweep itself pretrains, by name. */
export type Pretrainings = ReadonlyMap<string, Trial>;

/** 'pretrained:NAME' stands for the encoder of a pretraining, or for its run to start another from. */
const reference = /^pretrained:(.*)$/;

/**
 * The pretrainings of a sweep file, in its order: each may start from an earlier one.
 * @param folder where their run folders go
 */
export function planPretrainings({ pretrain, origin }: SweepFile, folder: string): Pretrainings {
  const planned = new Map<string, Trial>();
  for (const [name, { recipe, ...values }] of pretrain) {
    const { value: init, after } = dereference(values.init, planned, folder, origin(`pretrain.${name}`));
    const settings = [...leavesOf({ ...values, ...(init !== undefined && { init }) } as Values)];
    const set = settings.map(([key, value]) => `${key}=${JSON.stringify(value)}`);
    const chosen = recipe === undefined ? [] : [String(recipe)];
    const id = hashJson(resolved(name, chosen[0], set, origin(`pretrain.${name}`))).slice(0, 8);
    planned.set(name, {
      ...{ id, run: runName(['pretrain', name], id), command: ['pretrain', ...chosen], set, after },
      ...{ settings: { pretrain: name }, dataset: '', metric: '', epochs: 0, candidate: id, inputs: id },
    });
  }
  return planned;
}

/** All settings of a pretraining that decide its outcome. */
function resolved(name: string, recipe: string | undefined, set: string[], origin: string): object {
  try {
    const {
      threads: _t,
      device: _d,
      spinning: _s,
      ...deciding
    } = resolvePretraining({ recipe, set, runs: '' }).settings;
    return deciding;
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    throw new UsageError(`pretrain.${name} (${origin}): ${messageOf(error)}`, { cause: error });
  }
}

/** A value with a reference in it replaced by the run folder that it stands for, and the ids of what must come before. */
export function dereference(
  value: unknown,
  pretrainings: Pretrainings,
  folder: string,
  origin: string,
): { value: unknown; after: string[] } {
  const name = typeof value === 'string' ? reference.exec(value)?.[1] : undefined;
  if (name === undefined) return { value, after: [] };
  const found = pretrainings.get(name);
  if (!found) throw unknownName('pretraining', name, [...pretrainings.keys()], origin);
  return { value: join(resolve(folder), found.run), after: [found.id] };
}
