import { z } from 'zod';
import { UserError } from '../common/errors.ts';
import { type Random, seeded } from '../common/random.ts';
import type { Layout } from './readers/layout.ts';
import type { interactionShape, PushSource } from './readers/source.ts';

/** Parameters of a power-law dataset, under `parameters` of a dataset's description. */
export const powerLawParameters = z.strictObject({
  seed: z.int().default(1).describe('another seed makes other users'),
  items: z.int().min(100).default(115_815).describe('items of the catalogue, all of them candidates'),
  users: z.int().min(10).default(300_000).describe('users'),
  trainRows: z.int().min(10).default(577_567).describe('training rows after a leave-last-out split'),
  longest: z.int().min(2).default(50).describe('most training rows of one user'),
  exponent: z
    .number()
    .min(0)
    .default(1)
    .describe('the item of rank r is taken with a probability as 1 / (r + 10)^exponent'),
});

type PowerLawParameters = z.output<typeof powerLawParameters>;

/** Version of the generator: part of a prepared dataset's identity. */
const version = 1;
/** The two interactions of a user that leave-last-out validates and tests on, and the first, which has no history. */
const NOT_TRAINED = 3;
/** Spread of the logarithm of users' training rows: few users are long, as in Amazon's categories. */
const SPREAD = 1.1;

/**
 * Interactions without structure, of the size and shape of a real catalogue: for measuring time and memory, not quality.
 * Users take different items, by a power law; the defaults have the size of Amazon Reviews 2023 Games.
 * @throws UserError for parameters that are wrong.
 */
export function powerLawLayout(parameters: Record<string, unknown>): Layout {
  const checked = powerLawParameters.safeParse(parameters);
  if (!checked.success)
    throw new UserError(`parameters of the power-law dataset: ${z.prettifyError(checked.error)}`);
  const wanted = checked.data;
  if (wanted.trainRows > wanted.users * wanted.longest)
    throw new UserError(
      `parameters of the power-law dataset: ${wanted.users} users of at most ${wanted.longest} rows cannot have ${wanted.trainRows} training rows`,
    );
  if (wanted.longest + NOT_TRAINED > wanted.items)
    throw new UserError(
      `parameters of the power-law dataset: a user of ${wanted.longest} training rows (longest) has ${wanted.longest + NOT_TRAINED} different items, and there are ${wanted.items}`,
    );
  return {
    name: 'power-law',
    split: false,
    synthetic: true,
    paths: [],
    identity: { version, ...wanted },
    async read() {
      return {
        interactions: [{ source: interactions(wanted) }],
        candidates: Array.from({ length: wanted.items }, (_, i) => itemName(i)),
      };
    },
  };
}

const itemName = (index: number): string => `item-${index + 1}`;

function interactions(wanted: PowerLawParameters): PushSource<typeof interactionShape> {
  return {
    path: 'power-law',
    async push(add, _bad, progress) {
      const lengths = userLengths(wanted).map((n) => n + NOT_TRAINED);
      const draw = itemSampler(wanted);
      const random = seeded(wanted.seed, 'power-law items');
      let [at, draws] = [0, 0];
      const total = wanted.trainRows + NOT_TRAINED * wanted.users;
      progress.begin('make a power-law dataset (synthetic)', 'interactions', total);
      lengths.forEach((length, u) => {
        const taken = new Set<number>();
        while (taken.size < length) {
          taken.add(draw(random));
          // Not once a user: one who takes almost all items draws the frequent ones over and over.
          if (++draws % 65_536 === 0) progress.advance(at + taken.size);
        }
        for (const item of taken) {
          at++;
          add(at, { user_name: `user-${u + 1}`, item_name: itemName(item), time: String(at) });
        }
      });
      progress.end();
    },
  };
}

/** Training rows of every user: log-normal, rounded, then corrected one by one to the exact total. */
function userLengths({ seed, users, trainRows, longest }: PowerLawParameters): Int32Array {
  const random = seeded(seed, 'power-law users');
  const normals = Float64Array.from({ length: users }, () => random.normal());
  // Rounding down and the cap take from the mean what the scale has to give back.
  const lengthsAt = (scale: number) =>
    Int32Array.from(normals, (x) => Math.min(longest, Math.floor(scale * Math.exp(SPREAD * x))));
  let [low, high] = [0, longest * 100];
  for (let i = 0; i < 60; i++) {
    const middle = (low + high) / 2;
    if (lengthsAt(middle).reduce((a, b) => a + b, 0) < trainRows) low = middle;
    else high = middle;
  }
  const lengths = lengthsAt(low);
  let missing = trainRows - lengths.reduce((a, b) => a + b, 0);
  while (missing > 0) {
    const u = random.below(users);
    if (lengths[u] >= longest) continue;
    lengths[u]++;
    missing--;
  }
  return lengths;
}

/** Draws items by their cumulated weights; ranks are spread over the ids by a fixed shuffle. */
function itemSampler({ seed, items, exponent }: PowerLawParameters): (random: Random) => number {
  const byRank = seeded(seed, 'power-law ranks').shuffle(Int32Array.from({ length: items }, (_, i) => i));
  const cumulated = new Float64Array(items);
  let sum = 0;
  for (let r = 0; r < items; r++) {
    sum += (r + 10) ** -exponent;
    cumulated[r] = sum;
  }
  return (random) => {
    const wanted = random.uniform() * sum;
    let low = 0;
    let high = items - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (cumulated[middle] > wanted) high = middle;
      else low = middle + 1;
    }
    return byRank[low];
  };
}
