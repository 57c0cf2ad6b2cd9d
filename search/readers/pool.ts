import { seeded } from '../../common/random.ts';
import type { Query } from '../task.ts';
import { itemId, type Reading } from './source.ts';

/** Calls `use` for every item that there is, the same ones in the same order each time. */
export type ItemPass = (use: (id: string, text: () => string, domain: string) => void) => Promise<void>;

/**
 * Writes the queries whose relevant items all have metadata, and a pool: their items, and for every query `pool.perQuery`
 * random items of the domain of its first one (paper, section 3.3; official process_esci.py). The first of items with the
 * same id counts.
 */
export async function drawPool(queries: readonly Query[], items: ItemPass, reading: Reading): Promise<void> {
  const { writer, settings, seed, step } = reading;
  const domainOf = new Map<string, string>();
  const byDomain = new Map<string, string[]>();
  await items((id, _text, domain) => {
    if (domainOf.has(id) || itemId(id) === undefined) return;
    domainOf.set(id, domain);
    const list = byDomain.get(domain);
    if (list) list.push(id);
    else byDomain.set(domain, [id]);
  });
  const usable = queries.filter(({ relevant }) => relevant.every(({ item }) => domainOf.has(item)));
  step('queries whose items have metadata', queries.length, usable.length);

  const chosen = new Set<string>();
  for (const { relevant } of usable) for (const { item } of relevant) chosen.add(item);
  const random = seeded(seed, 'pool');
  for (const { relevant } of usable) {
    const candidates = byDomain.get(domainOf.get(relevant[0].item)!)!;
    for (const place of distinct(
      Math.min(settings.perQuery, candidates.length),
      candidates.length,
      random.below,
    ))
      chosen.add(candidates[place]);
  }
  step('items of the pool', domainOf.size, chosen.size);
  await items((id, text, domain) => {
    if (!chosen.delete(id)) return;
    writer.item(id, text(), domain);
  });
  for (const query of usable) writer.query(query);
}

/** `count` different numbers below `n` (Floyd's algorithm). */
function distinct(count: number, n: number, below: (n: number) => number): Set<number> {
  const numbers = new Set<number>();
  for (let last = n - count; last < n; last++) {
    const drawn = below(last + 1);
    numbers.add(numbers.has(drawn) ? last : drawn);
  }
  return numbers;
}
