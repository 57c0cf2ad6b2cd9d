import type { Bm25Settings } from '../../search/bm25/bm25.ts';

/** BM25 written plainly, text by text and term by term (as rank-bm25's BM25Okapi and the paper's script are), to test against. */
export function plainBm25(
  texts: readonly (readonly string[])[],
  { k1, b, epsilon, lengthNorm }: Omit<Bm25Settings, 'tokenizer'>,
) {
  const frequency = new Map<string, number>();
  for (const text of texts)
    for (const term of new Set(text)) frequency.set(term, (frequency.get(term) ?? 0) + 1);
  const n = texts.length;
  const idf = new Map(
    [...frequency].map(([term, df]) => [term, Math.log(n - df + 0.5) - Math.log(df + 0.5)]),
  );
  const meanIdf = [...idf.values()].reduce((sum, x) => sum + x, 0) / idf.size;
  const meanLength = texts.reduce((sum, text) => sum + text.length, 0) / n;
  return (query: readonly string[]): number[] =>
    texts.map((text) => {
      let score = 0;
      for (const term of query) {
        const count = text.filter((word) => word === term).length;
        if (!count) continue;
        const raw = idf.get(term)!;
        const weight = raw >= 0 ? raw : epsilon * meanIdf;
        const length = lengthNorm === 'document' ? text.length : n;
        score += (weight * count * (k1 + 1)) / (count + k1 * (1 - b + (b * length) / meanLength));
      }
      return score;
    });
}
