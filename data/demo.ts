import { z } from 'zod';
import { UserError } from '../common/errors.ts';
import { type Random, seeded } from '../common/random.ts';
import { departments, seriesNames, styles } from './demo-catalogue.ts';
import type { Layout } from './readers/layout.ts';
import type { interactionShape, itemShape, PushSource } from './readers/source.ts';
import type { ItemFields } from './text.ts';

/** Parameters of the demo, under `parameters` of a dataset's description. */
export const demoParameters = z.strictObject({
  seed: z.int().default(1).describe('another seed makes another shop with other users'),
  users: z.int().min(10).default(2000).describe('users'),
  items: z.int().min(60).default(1000).describe('items of the catalogue; some may never be bought'),
  meanLength: z.number().min(4).max(60).default(7).describe('mean interactions of a user; 4 at least'),
  newcomers: z
    .number()
    .min(0)
    .max(0.9)
    .default(0.5)
    .describe('share of items that enter the shop late, rare or unseen in training'),
});

export type DemoParameters = z.output<typeof demoParameters>;

/** Version of the generator: part of a prepared dataset's identity. */
const version = 2;

interface Product {
  department: number;
  type: string;
  brand: number;
  /** Brand and series together. */
  line: number;
  style: number;
  /** When it enters the shop, in [0, 1) of the demo's time. */
  release: number;
  /** How well it sells apart from everything else, as a utility. */
  appeal: number;
  fields: ItemFields;
}

/** First and last moment of the demo, in ms: both of the paper's timestamps lie between. */
const opening = Date.UTC(2017, 0, 1);
const closing = Date.UTC(2023, 0, 1);

/**
 * A generated shop, as a layout without files. Each item belongs to a department, a type, a model line and a style,
 * all of which its text tells. Users choose by a multinomial logit over the items on sale: what follows the type of
 * the last item (or of the one before), of the same line, in the style they like, which drifts. Items that enter late
 * can be ranked by their texts only.
 * @throws UserError for parameters that are wrong.
 */
export function demoLayout(parameters: Record<string, unknown>): Layout {
  const checked = demoParameters.safeParse(parameters);
  if (!checked.success)
    throw new UserError(`parameters of the demo dataset: ${z.prettifyError(checked.error)}`);
  const wanted = checked.data;
  return {
    name: 'demo',
    split: false,
    synthetic: true,
    paths: [],
    identity: { version, ...wanted },
    async read() {
      const products = makeProducts(wanted);
      return {
        interactions: [{ source: purchases(products, wanted) }],
        items: { files: [catalogue(products)], complete: true },
      };
    },
  };
}

function purchases(
  products: readonly Product[],
  wanted: DemoParameters,
): PushSource<typeof interactionShape> {
  return {
    path: 'demo',
    async push(add, _bad, progress) {
      const shop = new Shop(products);
      let line = 1;
      progress.begin('make the demo (synthetic)', 'users', wanted.users);
      for (let u = 0; u < wanted.users; u++) {
        for (const step of shop.visit(seeded(wanted.seed, 'demo user', u), wanted.meanLength)) {
          const time = Math.floor(opening + step.time * (closing - opening));
          add(line++, { user_name: `user-${u + 1}`, item_name: itemName(step.item), time: String(time) });
        }
        progress.advance(u + 1, wanted.users);
      }
      progress.end();
    },
  };
}

function catalogue(products: readonly Product[]): PushSource<typeof itemShape> {
  return {
    path: 'demo',
    async push(add) {
      products.forEach(({ fields: { title, features, categories, description } }, i) => {
        add(i + 1, {
          item_name: itemName(i),
          title: JSON.stringify(title),
          features: JSON.stringify(features),
          categories: JSON.stringify(categories),
          description: JSON.stringify(description),
        });
      });
    },
  };
}

function itemName(index: number): string {
  return `demo-${String(index + 1).padStart(4, '0')}`;
}

/** Spreads items evenly over departments, types and lines, so that every line has most of the types. */
function makeProducts({ seed, items, newcomers }: DemoParameters): Product[] {
  const random = seeded(seed, 'demo catalogue');
  const kinds = departments.flatMap(({ types, brands }, department) =>
    Object.keys(types).flatMap((type) =>
      brands.flatMap((_, brand) => [0, 1].map((half) => ({ department, type, brand, half }))),
    ),
  );
  random.shuffle(kinds);
  return Array.from({ length: items }, (_, i) => {
    const { department, type, brand, half } = kinds[i % kinds.length];
    const style = random.below(styles.length);
    const kind = { department, type, brand, half, style };
    return {
      department,
      type,
      brand: department * 100 + brand,
      line: (department * 100 + brand) * 2 + half,
      style,
      release: random.uniform() < newcomers ? 0.84 + 0.15 * random.uniform() : 0,
      appeal: 0.4 * random.normal(),
      fields: describe(kind, random),
    };
  });
}

/** Title, features, categories and description of one product. */
function describe(
  kind: { department: number; type: string; brand: number; half: number; style: number },
  random: Random,
): ItemFields {
  const department = departments[kind.department];
  const type = department.types[kind.type];
  const style = styles[kind.style];
  const brand = department.brands[kind.brand];
  const series = seriesNames[(2 * (kind.brand + kind.department) + kind.half) % seriesNames.length];
  const pick = <T>(list: readonly T[]): T => list[random.below(list.length)];
  const model = `${series} ${100 + 10 * random.below(90)}`;
  const name = pick(type.names);
  const features = random.shuffle([
    pick(type.about),
    `Made to go with the ${brand} ${series} series`,
    `${style.finish} finish, ${pick(style.words)}`,
  ]);
  return {
    title: `${brand} ${model} ${name}, ${style.finish}`,
    features,
    categories: [department.name, type.names[0]],
    description: [`${name} from ${brand}. ${pick(type.about)}`],
  };
}

/** The utilities of the choice: how much each agreement with the wish adds. */
const utility = {
  type: [4.2, 3.2],
  department: 1.5,
  brand: 0.7,
  line: 2.2,
  style: 1.6,
  nearStyle: 0.7,
  novelty: 1.8,
};

class Shop {
  readonly #products: readonly Product[];

  constructor(products: readonly Product[]) {
    this.#products = products;
  }

  /** One user's purchases in order; times in [0, 1), never an item twice. */
  visit(random: Random, meanLength: number): { item: number; time: number }[] {
    const length = 4 + Math.floor(-Math.log(1 - random.uniform()) * (meanLength - 3.5));
    const start = 0.8 * random.uniform();
    const times = Array.from({ length }, () => start + (1 - start) * random.uniform()).sort((a, b) => a - b);
    let style = random.below(styles.length);
    const chosen: number[] = [];
    for (const time of times) {
      if (random.uniform() < 0.12) style = drift(style, random);
      const fresh = chosen.length === 0 || random.uniform() < 0.1;
      const back = chosen.length > 1 && random.uniform() < 0.25 ? 2 : 1;
      const anchor = fresh ? undefined : this.#products[chosen[chosen.length - back]];
      const item = this.#choose(anchor, style, time, chosen, random);
      if (item !== undefined) chosen.push(item);
    }
    return chosen.map((item, i) => ({ item, time: times[i] }));
  }

  /** Draws one item by the Gumbel-max form of the multinomial logit. */
  #choose(
    anchor: Product | undefined,
    style: number,
    time: number,
    taken: readonly number[],
    random: Random,
  ): number | undefined {
    let best: number | undefined;
    let highest = Number.NEGATIVE_INFINITY;
    const next = anchor && departments[anchor.department].types[anchor.type].next;
    this.#products.forEach((product, i) => {
      if (product.release > time || taken.includes(i)) return;
      let value = product.appeal - Math.log(-Math.log(random.uniform() || 1e-12));
      if (product.release > 0) value += utility.novelty;
      if (product.style === style) value += utility.style;
      else if (Math.abs(product.style - style) === 1) value += utility.nearStyle;
      if (anchor && next && product.department === anchor.department) {
        value += utility.department;
        const rank = next.indexOf(product.type);
        if (rank >= 0) value += utility.type[rank];
        if (product.brand === anchor.brand) value += utility.brand;
        if (product.line === anchor.line) value += utility.line;
      }
      if (value > highest) {
        highest = value;
        best = i;
      }
    });
    return best;
  }
}

/** A step to one of the neighbouring styles. */
function drift(style: number, random: Random): number {
  const to = style + (random.uniform() < 0.5 ? -1 : 1);
  return Math.min(styles.length - 1, Math.max(0, to));
}
