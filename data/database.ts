import { mkdir, rm } from 'node:fs/promises';
import type { DuckDBConnection } from '@duckdb/node-api';
import { messageOf, UserError } from '../common/errors.ts';
import type { Progress } from '../common/progress.ts';

/** What the rules of preparation need of an SQL engine. */
export interface SqlEngine {
  run(sql: string): Promise<void>;
  /** The numbers of the one row that a query gives, NULL being NaN. */
  numbers(sql: string): Promise<number[]>;
}

export interface DatabaseOptions {
  /** Memory that DuckDB may use, in GB; what does not fit goes to `spillFolder`, which is removed in the end. */
  memoryGB: number;
  spillFolder: string;
  progress: Progress;
}

/** Rows that are handed to DuckDB at a time: the size of its vectors. */
const CHUNK_ROWS = 2048;

/** A DuckDB database that lives as long as one preparation. Tables that do not fit into memory are spilled to disk. */
export class Database implements SqlEngine {
  readonly #connection: DuckDBConnection;
  readonly #options: DatabaseOptions;

  private constructor(connection: DuckDBConnection, options: DatabaseOptions) {
    this.#connection = connection;
    this.#options = options;
  }

  /** Opens a database, and closes it after `use`. DuckDB is loaded here, as it takes a moment. */
  static async with<T>(options: DatabaseOptions, use: (database: Database) => Promise<T>): Promise<T> {
    const { DuckDBInstance } = await import('@duckdb/node-api');
    await mkdir(options.spillFolder, { recursive: true });
    const instance = await DuckDBInstance.create(':memory:', {
      memory_limit: `${Math.round(options.memoryGB * 1000)}MB`,
      temp_directory: options.spillFolder,
      autoinstall_known_extensions: 'false',
      autoload_known_extensions: 'false',
    });
    const connection = await instance.connect();
    try {
      await connection.run(
        "SET enable_progress_bar = true; SET enable_progress_bar_print = false; SET TimeZone = 'UTC'",
      );
      return await use(new Database(connection, options));
    } finally {
      connection.closeSync();
      instance.closeSync();
      await rm(options.spillFolder, { recursive: true, force: true });
    }
  }

  /** @param tick is told now and then which share of the work is done, 0 to 1. */
  async run(sql: string, tick?: (done: number) => void): Promise<void> {
    await this.#guarded(() => this.#connection.run(sql), tick);
  }

  /** Stops the statement that is running. */
  interrupt(): void {
    this.#connection.interrupt();
  }

  async numbers(sql: string): Promise<number[]> {
    const [row] = await this.rows(sql);
    return row.map((value) => (value === null ? Number.NaN : Number(value)));
  }

  /** All rows of a small result; numbers of 64 bits are bigints, lists are arrays. */
  async rows(sql: string): Promise<unknown[][]> {
    const reader = await this.#guarded(() => this.#connection.runAndReadAll(sql));
    return reader.getRowsJS();
  }

  /** The rows of a large result, a block of columns at a time. */
  async *blocks(sql: string): AsyncGenerator<{ rows: number; columns: unknown[][] }> {
    const result = await this.#guarded(() => this.#connection.stream(sql));
    for (;;) {
      const chunk = await this.#guarded(() => result.fetchChunk());
      if (!chunk?.rowCount) return;
      yield { rows: chunk.rowCount, columns: chunk.getColumns() };
    }
  }

  /**
   * Adds rows to the end of a table. `make` hands them over one by one, in the order of the table's columns, which are
   * of the types INTEGER and VARCHAR.
   */
  async append(table: string, make: (add: (row: readonly Cell[]) => void) => Promise<void>): Promise<void> {
    const { DuckDBDataChunk } = await import('@duckdb/node-api');
    const appender = await this.#connection.createAppender(table);
    const types = Array.from({ length: appender.columnCount }, (_, i) => appender.columnType(i));
    let columns: (string | number | null)[][] = types.map(() => []);
    const flush = () => {
      const chunk = DuckDBDataChunk.create(types);
      chunk.setColumns(columns);
      appender.appendDataChunk(chunk);
      columns = types.map(() => []);
    };
    try {
      await make((row) => {
        for (let i = 0; i < columns.length; i++) columns[i].push(row[i] ?? null);
        if (columns[0].length === CHUNK_ROWS) flush();
      });
      if (columns[0].length) flush();
    } finally {
      appender.closeSync();
    }
  }

  /** Makes a table (item_number, item_name) of names in their order. */
  async list(table: string, names: Iterable<string>): Promise<void> {
    await this.run(`CREATE TABLE ${table} (item_number INTEGER, item_name TEXT)`);
    await this.append(table, async (add) => {
      let number = 0;
      for (const name of names) add([number++, name]);
    });
  }

  /** Runs a statement, interrupting it where the user wants to stop, and puts its failure in a user's words. */
  async #guarded<T>(work: () => Promise<T>, tick?: (done: number) => void): Promise<T> {
    const { progress } = this.#options;
    let stopped: unknown;
    const unwatch = progress.watch(
      (reason) => {
        stopped = reason;
        this.#connection.interrupt();
      },
      () => tick?.(Math.max(0, this.#connection.progress.percentage) / 100),
    );
    try {
      progress.check();
      return await work();
    } catch (error) {
      throw stopped ?? this.#explain(error);
    } finally {
      unwatch();
    }
  }

  #explain(error: unknown): unknown {
    const message = messageOf(error);
    const { memoryGB, spillFolder } = this.#options;
    if (/No space left|max_temp_directory_size/.test(message))
      return new UserError(
        `${spillFolder}: no space left for what does not fit into memory; set data.tempFolder to a folder with more, or data.memoryGB (now ${memoryGB}) higher`,
        { cause: error },
      );
    if (message.startsWith('Out of Memory'))
      return new UserError(
        `preparing the dataset needs more memory than data.memoryGB=${memoryGB} gives it; set it higher`,
        { cause: error },
      );
    if (message.startsWith('IO Error'))
      return new UserError(message.replace(/^IO Error: /, ''), { cause: error });
    return error;
  }
}

/** A column of a Parquet file, and its type in SQL. */
export interface FileColumn {
  name: string;
  type: string;
}

/** The columns of a Parquet file. */
export async function parquetColumns(path: string): Promise<FileColumn[]> {
  const { DuckDBInstance } = await import('@duckdb/node-api');
  const instance = await DuckDBInstance.create();
  const connection = await instance.connect();
  try {
    const reader = await connection.runAndReadAll(`DESCRIBE SELECT * FROM read_parquet(${quotedPath(path)})`);
    return reader.getRowsJS().map(([name, type]) => ({ name: String(name), type: String(type) }));
  } catch (error) {
    throw new UserError(`${path}: cannot be read as Parquet: ${messageOf(error)}`, { cause: error });
  } finally {
    connection.closeSync();
    instance.closeSync();
  }
}

/** A value of an appended row. */
export type Cell = string | number | null | undefined;

/** A path as it stands in SQL, where DuckDB takes paths for patterns. */
export function quotedPath(path: string): string {
  return quoted(path.replace(/[[?*]/g, '[$&]'));
}

/** A name as it stands in SQL. */
export function quotedName(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

/** A string as it stands in SQL. */
export function quoted(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}
