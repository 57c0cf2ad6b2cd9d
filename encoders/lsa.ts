import { z } from 'zod';
import { hashJson } from '../common/files.ts';
import { seeded } from '../common/random.ts';
import { MadeTexts, type Texts } from '../common/texts.ts';
import { defineEncoder, type TextEncoder } from './contract.ts';
import type { Check } from './linear-algebra.ts';
import { Tfidf } from './tfidf.ts';
import { product, truncatedSvd } from './truncated-svd.ts';

const config = z.strictObject({
  dims: z.int().min(1).max(4096).default(256).describe('width of a vector'),
  ngrams: z.int().min(1).max(5).default(2).describe('longest run of words that counts as a term'),
  minCount: z.int().positive().default(2).describe('texts a term must be found in to count'),
  fitTexts: z
    .int()
    .positive()
    .default(20_000)
    .describe('texts that the decomposition is fitted to, drawn at random; all texts are projected'),
});

/** Root mean square of a vector's elements; that of RoBERTa's CLS vectors, so that the same models suit both. */
const elementScale = 0.5;
const blockRows = 2048;
/** Rounds of subspace iteration. A second one costs half as much again, and found neighbours no better. */
const iterations = 1;

/**
 * Latent semantic analysis (Deerwester et al. 1990): TF-IDF of hashed word n-grams, truncated SVD. Needs no weights and
 * no seed: the same texts give the same vectors.
 *
 * A row is its TF-IDF row projected on the leading right singular vectors (U S), each coordinate divided by the square
 * root of its singular value, and the whole scaled to length 0.5 sqrt(dims). Between U S, in which a few coordinates
 * outweigh the rest, and U, in which noise weighs as much as structure, the root found the next item of
 * Amazon Beauty among the nearest nearly as often as the better of the two, and does not drown small catalogues in noise.
 * Fewer texts or terms than `dims` leave the last coordinates zero.
 */
export default defineEncoder({
  name: 'lsa',
  summary: 'TF-IDF and truncated SVD of the item texts; needs no weights',
  config,
  async open(settings, { progress }) {
    const check = () => progress.check();
    let fitted: ReturnType<typeof fit> | undefined;
    const encoder: TextEncoder = {
      dims: settings.dims,
      fingerprint: hashJson({ encoder: 'lsa', version: 2, ...settings }),
      rowsDependOn: 'corpus',
      async embed(texts, onRows) {
        if (!texts.length) return;
        const { tfidf, basis } = fitted ?? fit(texts, settings, check);
        let unknown = 0;
        for (let first = 0; first < texts.length; first += blockRows) {
          const rows = tfidf.transform(texts.slice(first, first + blockRows), check);
          const projected = new Float64Array(rows.rows * settings.dims);
          product(rows, basis, settings.dims, projected, check);
          for (let r = 0; r < rows.rows; r++) if (rows.start[r] === rows.start[r + 1]) unknown++;
          await onRows(first, normaliseRows(projected, settings.dims));
        }
        if (unknown)
          progress.warning(
            `${unknown} of ${texts.length} texts share no term with another text: their lsa vectors are zero`,
          );
      },
      async fit(corpus) {
        fitted = fit(corpus, settings, check);
      },
      async close() {},
    };
    return encoder;
  },
});

/** The vocabulary, and the basis [terms, dims] that a TF-IDF row is multiplied by. */
function fit(texts: Texts, settings: z.output<typeof config>, check: Check) {
  const { dims, fitTexts } = settings;
  const tfidf = new Tfidf(settings);
  tfidf.fit(texts, check);
  const { values, right } = truncatedSvd(tfidf.transform(draw(texts, fitTexts), check), dims, check, {
    iterations,
  });
  for (let k = 0; k < dims; k++) {
    const scale = values[k] > 0 ? 1 / Math.sqrt(values[k]) : 0;
    for (let column = 0; column < tfidf.width; column++) right[column * dims + k] *= scale;
  }
  return { tfidf, basis: right };
}

/** At most `count` of the texts, always the same ones. */
function draw(texts: Texts, count: number): Texts {
  if (texts.length <= count) return texts;
  const chosen = seeded('lsa', texts.length)
    .shuffle(Int32Array.from({ length: texts.length }, (_, i) => i))
    .subarray(0, count)
    .sort();
  return new MadeTexts(count, (i) => texts.at(chosen[i])!);
}

/** Every row scaled to the same length; zero rows stay zero. */
function normaliseRows(rows: Float64Array, dims: number): Float32Array {
  const out = new Float32Array(rows.length);
  for (let first = 0; first < rows.length; first += dims) {
    let squares = 0;
    for (let k = 0; k < dims; k++) squares += rows[first + k] ** 2;
    const scale = squares > 0 ? elementScale * Math.sqrt(dims / squares) : 0;
    for (let k = 0; k < dims; k++) out[first + k] = rows[first + k] * scale;
  }
  return out;
}
