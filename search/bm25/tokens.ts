/** Cuts a text into terms; stop words are left out later. */
export type Tokenizer = (text: string) => string[];

/**
 * How texts are cut. `words`: lower-cased runs of letters and digits. `nltk`: as NLTK's `word_tokenize`, which the
 * paper's BM25 script takes: case, punctuation and hyphens are kept, contractions are parted.
 */
export const tokenizers = { words, nltk } satisfies Record<string, Tokenizer>;
export type TokenizerName = keyof typeof tokenizers;

function words(text: string): string[] {
  const lower = text.toLowerCase();
  // The first pattern is the second one where all is ASCII, at half the time.
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the ASCII range begins there
  const pattern = /^[\x00-\x7F]*$/.test(lower) ? /[a-z0-9]+/g : /[\p{L}\p{M}\p{N}]+/gu;
  return lower.match(pattern) ?? [];
}

type Rule = readonly [pattern: RegExp, replacement: string];

/** NLTK's rules (NLTKWordTokenizer, after the Penn Treebank's), in its order: where spaces go between tokens. */
const openingQuotes: Rule[] = [
  [/([«“‘„]|`+)/g, ' $1 '],
  [/^"/g, '``'],
  [/(``)/g, ' $1 '],
  [/([ ([{<])("|'{2})/g, '$1 `` '],
  [/(')(?!re|ve|ll|m|t|s|d|n)([\p{L}\p{N}_])(?![\p{L}\p{N}_])/giu, '$1 $2'],
];
const punctuation: Rule[] = [
  [/([^.])(\.)([\])}>"'»”’ ]*)\s*$/g, '$1 $2 $3 '],
  [/([:,])([^\d])/g, ' $1 $2'],
  [/([:,])$/g, ' $1 '],
  [/\.{2,}/g, ' $& '],
  [/[;@#$%&]/g, ' $& '],
  [/([^.])(\.)([\])}>"']*)\s*$/g, '$1 $2$3 '],
  [/[?!]/g, ' $& '],
  [/([^'])' /g, "$1 ' "],
  [/\*/g, ' $& '],
  [/[\][(){}<>]/g, ' $& '],
  [/--/g, ' -- '],
];
const closingQuotes: Rule[] = [
  [/([»”’])/g, ' $1 '],
  [/''/g, " '' "],
  [/"/g, " '' "],
  [/([^' ])('[sS]|'[mM]|'[dD]|') /g, '$1 $2 '],
  [/([^' ])('ll|'LL|'re|'RE|'ve|'VE|n't|N'T) /g, '$1 $2 '],
];
const contractions: Rule[] = [
  [/\b(can)(not)\b/gi, ' $1 $2 '],
  [/\b(d)('ye)\b/gi, ' $1 $2 '],
  [/\b(gim)(me)\b/gi, ' $1 $2 '],
  [/\b(gon)(na)\b/gi, ' $1 $2 '],
  [/\b(got)(ta)\b/gi, ' $1 $2 '],
  [/\b(lem)(me)\b/gi, ' $1 $2 '],
  [/\b(more)('n)\b/gi, ' $1 $2 '],
  [/\b(wan)(na)(?=\s)/gi, ' $1 $2 '],
  [/ ('t)(is)\b/gi, ' $1 $2 '],
  [/ ('t)(was)\b/gi, ' $1 $2 '],
];

const applied = (text: string, rules: readonly Rule[]): string =>
  rules.reduce((at, [pattern, replacement]) => at.replace(pattern, replacement), text);

/** The tokens of one sentence, as NLTKWordTokenizer gives them. */
export function sentenceTokens(sentence: string): string[] {
  const spaced = ` ${applied(applied(sentence, openingQuotes), punctuation)} `;
  return applied(applied(spaced, closingQuotes), contractions).match(/\S+/g) ?? [];
}

/**
 * NLTK finds sentences with a trained model, which only decides whether a full stop is a token of its own. Here a sentence
 * ends at '.', '?' or '!' that white space and something other than a small letter follow, unless an initial or a
 * common abbreviation stands before it.
 */
const sentenceEnd =
  /(?<=[.?!]["')\]]*)(?<!\b(?:[A-Za-z]|Mr|Mrs|Ms|Dr|St|Jr|Sr|vs|etc|approx|oz|fl|lbs?|ft|in|No|Inc|Co|Corp|Ltd)\.)\s+(?=[^a-z\s])/;

function nltk(text: string): string[] {
  return text.split(sentenceEnd).flatMap(sentenceTokens);
}
