import { messageOf, UserError } from '../../common/errors.ts';
import type { Progress } from '../../common/progress.ts';
import { loadPlugins } from '../../configs/plugins.ts';
import { encoders } from '../../encoders/index.ts';
import { type Definition, models } from '../../models/index.ts';
import { baselineChecks } from './baseline-checks.ts';
import { datasetChecks } from './dataset-checks.ts';
import { encoderChecks } from './encoder-checks.ts';
import { type Check, modelChecks } from './model-checks.ts';
import { variantsOf } from './variants.ts';
import { Broken } from './vectors.ts';

export type { Check } from './model-checks.ts';

/** Something that a plugin defines, and what came of its checks. */
export interface Checked {
  kind: 'model' | 'encoder' | 'dataset';
  /** With the choices of its settings: 'unisrec inductive shared'. */
  name: string;
  /**
   * `failure` says how a rule is broken; `skipped`, that it was not looked at, as a rule before it is broken; `note`, what
   * is worth a look though the rule holds.
   */
  checks: { name: string; rule: string; failure?: string; skipped?: boolean; note?: string }[];
}

/** The contract of a model: a list of checks for every variant of its settings. */
export function contractOf(definition: Definition): { name: string; checks: Check[] }[] {
  return definition.kind === 'baseline'
    ? [{ name: definition.name, checks: baselineChecks(definition) }]
    : variantsOf(definition).map((variant) => ({ name: variant.name, checks: modelChecks(variant) }));
}

/**
 * Checks all that a plugin file defines against the contract of its kind.
 * @throws UserError where the file cannot be loaded
 */
export async function checkPlugin(path: string, progress: Progress): Promise<Checked[]> {
  const [plugin] = await loadPlugins([path]);
  const contracts = [
    ...plugin.models.flatMap((name) =>
      contractOf(models.get(name)).map((one) => ({ kind: 'model' as const, ...one })),
    ),
    ...plugin.encoders.map((name) => ({
      ...{ kind: 'encoder' as const, name },
      checks: encoderChecks(encoders.get(name)),
    })),
    ...plugin.datasets.map((name) => ({ kind: 'dataset' as const, name, checks: datasetChecks(name) })),
  ];
  const total = contracts.reduce((sum, { checks }) => sum + checks.length, 0);
  progress.begin('checking', 'rules', total);
  const checked: Checked[] = [];
  let done = 0;
  for (const { checks, ...of } of contracts) {
    const outcomes: Checked['checks'] = [];
    let skipped = false;
    for (const { name, rule, basic, run } of checks) {
      const outcome: Outcome = skipped ? { skipped } : await outcomeOf(run);
      outcomes.push({ name, rule, ...outcome });
      skipped ||= basic === true && outcome.failure !== undefined;
      progress.advance(++done, total);
    }
    checked.push({ ...of, checks: outcomes });
  }
  progress.end();
  return checked;
}

type Outcome = Omit<Checked['checks'][number], 'name' | 'rule'>;

async function outcomeOf(run: Check['run']): Promise<Outcome> {
  const outcome: Outcome = {};
  try {
    await run((text) => {
      outcome.note = text;
    });
  } catch (error) {
    outcome.failure = failureOf(error);
  }
  return outcome;
}

function failureOf(error: unknown): string {
  // What breaks as the model is compiled is wrapped by what the compiler says of it.
  if (error instanceof Error && error.cause instanceof Broken) return error.cause.message;
  if (error instanceof Broken || error instanceof UserError) return error.message;
  // Not a rule that is broken, but code that fails: where, the user has to know.
  const place =
    error instanceof Error ? error.stack?.split('\n').find((line) => line.includes('at ')) : undefined;
  return `${messageOf(error)}${place ? ` (${place.trim()})` : ''}`;
}
