import { UserError } from '../common/errors.ts';
import { judgedMetrics, type Metrics, meanMetrics } from './metrics.ts';

/** query -> document -> grade. */
export type Judgments = Map<string, Map<string, number>>;

/** query -> retrieved documents, best first. */
export type Run = Map<string, string[]>;

/**
 * Reads relevance judgments in TREC's qrels format, 'query iteration document grade' a line, separated by white space.
 * @param path shown in errors
 * @throws UserError naming the line: a missing column, a grade that is no whole number, a document judged twice
 */
export function parseJudgments(text: string, path: string): Judgments {
  const judgments: Judgments = new Map();
  for (const { fields, where } of dataLines(text, path)) {
    if (fields.length < 4)
      throw new UserError(
        `${where}: expected 'query iteration document grade', found ${fields.length} columns`,
      );
    const [query, , document, grade] = fields;
    if (!/^[+-]?\d+$/.test(grade))
      throw new UserError(`${where}: the grade '${grade}' is not a whole number`);
    addOnce(judgments, query, document, Number(grade), where);
  }
  return judgments;
}

/**
 * Reads a run in TREC's format, 'query Q0 document rank score tag' a line. As trec_eval does, it ignores the rank
 * column and orders by score (held in float32), highest first, and equal scores by document name, last name first.
 * @param path shown in errors
 * @throws UserError naming the line: a missing column, a score that is no number, a document retrieved twice
 */
export function parseRun(text: string, path: string): Run {
  const scores = new Map<string, Map<string, number>>();
  for (const { fields, where } of dataLines(text, path)) {
    if (fields.length < 6)
      throw new UserError(
        `${where}: expected 'query Q0 document rank score tag', found ${fields.length} columns`,
      );
    const [query, , document, , score] = fields;
    if (Number.isNaN(Number(score))) throw new UserError(`${where}: the score '${score}' is not a number`);
    addOnce(scores, query, document, Math.fround(Number(score)), where);
  }
  const run: Run = new Map();
  for (const [query, documents] of scores) {
    const ranked = [...documents].sort(([a, x], [b, y]) => y - x || (a < b ? 1 : -1));
    run.set(
      query,
      ranked.map(([document]) => document),
    );
  }
  return run;
}

/**
 * Metrics of every query that was both judged and run, and their means, as trec_eval averages without '-c'.
 * @returns also the queries left out: those without judgments, those without a run
 */
export function evaluateTrecRun(
  run: Run,
  judgments: Judgments,
  topk: readonly number[],
): { queries: Map<string, Metrics>; mean: Metrics; missing: { judgments: string[]; run: string[] } } {
  const queries = new Map<string, Metrics>();
  for (const [query, documents] of run) {
    const judged = judgments.get(query);
    if (!judged) continue;
    const grades = documents.map((document) => judged.get(document) ?? 0);
    queries.set(query, judgedMetrics(grades, [...judged.values()], topk));
  }
  return {
    queries,
    mean: meanMetrics([...queries.values()]),
    missing: {
      judgments: [...run.keys()].filter((query) => !judgments.has(query)),
      run: [...judgments.keys()].filter((query) => !run.has(query)),
    },
  };
}

/** The fields of every line that is neither blank nor a comment, and the place to name in an error. */
function* dataLines(text: string, path: string): Generator<{ fields: string[]; where: string }> {
  const lines = text.split('\n');
  for (let i = 0; i < lines.length; i++) {
    const line = lines[i].trim();
    if (line && !line.startsWith('#')) yield { fields: line.split(/\s+/), where: `${path}:${i + 1}` };
  }
}

function addOnce(
  table: Map<string, Map<string, number>>,
  query: string,
  document: string,
  value: number,
  where: string,
) {
  let documents = table.get(query);
  if (!documents) {
    documents = new Map();
    table.set(query, documents);
  }
  if (documents.has(document))
    throw new UserError(`${where}: document '${document}' occurs twice for query '${query}'`);
  documents.set(document, value);
}
