import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { nearest, UserError } from '../../common/errors.ts';
import type { Progress } from '../../common/progress.ts';
import { Database, quotedPath } from '../../data/database.ts';
import { sortFiles } from '../../data/readers/amazon.ts';
import type { Folder } from '../../data/readers/layout.ts';
import { searchText } from '../../data/text.ts';
import type { Query } from '../task.ts';
import { drawPool, type ItemPass } from './pool.ts';
import { itemsOfMetadata } from './reviews.ts';
import type { Reading, TaskSource } from './source.ts';

/** The labels' gains, in hundredths of those of the ESCI paper (Reddy et al. 2022, section 5.1); Irrelevant has none. With labels=exact all grades are 1. */
const grades: Record<string, number> = { Exact: 100, Substitute: 10, Complement: 1 };
const format = /\.(parquet|csv|jsonl|json)(\.gz)?$/;

/** Recognises ESCI's own files: `..._examples` and either `..._products` or metadata of Amazon Reviews. */
export async function detectEsci(folder: Folder): Promise<TaskSource | undefined> {
  const named = (word: string) =>
    folder.files.find((name) => name.includes(word) && format.test(name) && !name.includes('sample'));
  const examples = named('examples');
  if (!examples) return undefined;
  const path = join(folder.path, examples);
  const products = named('products');
  const taken = [examples, ...(products ? [products] : [])].map((name) => join(folder.path, name));
  const { metadata } = await sortFiles(folder, taken);
  if (!metadata.length && !products)
    throw new UserError(
      `${folder.path}: ${examples} needs item metadata beside it: Amazon Reviews' (meta_*.jsonl), or ESCI's own (shopping_queries_dataset_products.parquet).`,
    );
  const items = metadata.length ? metadata : [join(folder.path, products!)];
  return {
    layout: 'ESCI examples and item metadata',
    paths: [path, ...items],
    drawn: true,
    gains: ({ labels }) => (labels === 'graded' ? grades : { Exact: 1 }),
    async read(reading) {
      const queries = await withDatabase(reading.progress, (database) =>
        readExamples(database, path, reading),
      );
      const pass = metadata.length
        ? itemsOfMetadata(metadata, '', reading)
        : itemsOfProducts(items[0], reading);
      await drawPool(queries, pass, reading);
    },
  };
}

/** Rows of the US store, small version and test split; a query a row labelled Exact, or each query once with all labels. */
async function readExamples(database: Database, path: string, reading: Reading): Promise<Query[]> {
  const table = await openTable(database, path, [
    'query',
    'product_id',
    'product_locale',
    'esci_label',
    'small_version',
  ]);
  const graded = reading.settings.labels === 'graded';
  const rules: [string, string][] = [
    ['rows of the US store', "product_locale = 'us'"],
    ['rows of the small version', 'CAST(small_version AS INTEGER) = 1'],
    ...(table.has('split') ? [['rows of the test split', "split = 'test'"] as [string, string]] : []),
    graded
      ? ['rows labelled Exact, Substitute or Complement', "upper(esci_label[1]) IN ('E', 'S', 'C')"]
      : ['rows labelled Exact', "upper(esci_label[1]) = 'E'"],
  ];
  let where = 'true';
  let before = (await database.numbers(`SELECT count(*) FROM ${table.from}`))[0];
  for (const [rule, condition] of rules) {
    where += ` AND ${condition}`;
    const [after] = await database.numbers(`SELECT count(*) FROM ${table.from} WHERE ${where}`);
    reading.step(rule, before, after);
    before = after;
  }
  const key = table.has('query_id') ? 'query_id' : 'query';
  const rows = await database.rows(
    `SELECT CAST(${key} AS VARCHAR), CAST(query AS VARCHAR), CAST(product_id AS VARCHAR), upper(esci_label[1])
     FROM ${table.from} WHERE ${where}`,
  );
  const queries = new Map<string, Query>();
  rows.forEach(([name, text, item, label], row) => {
    const id = graded ? String(name) : String(row);
    const known = queries.get(id) ?? {
      id: String(queries.size),
      text: cleanQuery(String(text)),
      relevant: [],
    };
    queries.set(id, known);
    if (known.relevant.some((one) => one.item === item)) return;
    known.relevant.push({ item: String(item), grade: graded ? gradeOf(String(label)) : 1 });
  });
  return [...queries.values()];
}

const cleanQuery = (text: string) => text.trim().replaceAll('\t', ' ');
const gradeOf = (letter: string) => Object.entries(grades).find(([label]) => label.startsWith(letter))![1];

/** ESCI's own products of the US store; they name no domain. */
function itemsOfProducts(path: string, { progress }: Reading): ItemPass {
  return (use) =>
    withDatabase(progress, async (database) => {
      const columns = ['product_id', 'product_title', 'product_description', 'product_locale'];
      const { from } = await openTable(database, path, columns);
      const query = `SELECT CAST(product_id AS VARCHAR), CAST(product_title AS VARCHAR), CAST(product_description AS VARCHAR)
        FROM ${from} WHERE product_locale = 'us'`;
      for await (const { rows, columns } of database.blocks(query))
        for (let row = 0; row < rows; row++) {
          const [id, title, description] = columns.map((column) => column[row]);
          use(String(id), () => searchText({ title, description }), '');
        }
    });
}

function withDatabase<T>(progress: Progress, use: (database: Database) => Promise<T>): Promise<T> {
  const spillFolder = join(tmpdir(), `rec-esci-${process.pid}`);
  return Database.with({ memoryGB: 2, spillFolder, progress }, use);
}

/**
 * How a file stands in SQL, and which columns it has.
 * @throws UserError where one of `wanted` is missing
 */
async function openTable(database: Database, path: string, wanted: readonly string[]) {
  const kind = format.exec(path)![1];
  const from =
    kind === 'parquet'
      ? `read_parquet(${quotedPath(path)})`
      : kind === 'csv'
        ? `read_csv(${quotedPath(path)}, header = true, all_varchar = true)`
        : `read_json(${quotedPath(path)})`;
  const columns = (await database.rows(`DESCRIBE SELECT * FROM ${from}`)).map(([name]) => String(name));
  for (const column of wanted)
    if (!columns.includes(column)) {
      const hint = nearest(column, columns);
      throw new UserError(
        `${path}: no column '${column}'${hint ? ` (did you mean '${hint}'?)` : ''}; it has [${columns.join(', ')}].`,
      );
    }
  return { from, has: (column: string) => columns.includes(column) };
}
