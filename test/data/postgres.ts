import { execFileSync } from 'node:child_process';
import { chownSync, existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { SqlEngine } from '../../data/database.ts';

/** Where PostgreSQL's programs are; Debian keeps them out of the path. */
export function findPostgres(): string | undefined {
  const debian = '/usr/lib/postgresql';
  const versions = existsSync(debian)
    ? readdirSync(debian).map((version) => join(debian, version, 'bin'))
    : [];
  return [...(process.env.PATH ?? '').split(':'), ...versions].find((folder) =>
    ['initdb', 'postgres', 'psql'].every((program) => existsSync(join(folder, program))),
  );
}

const isRoot = process.getuid?.() === 0;

/** A PostgreSQL server of its own, in a folder that goes when it is closed. */
export class Postgres implements SqlEngine {
  readonly #bin: string;
  readonly #folder: string;
  #schema = 'public';

  private constructor(bin: string, folder: string) {
    this.#bin = bin;
    this.#folder = folder;
  }

  static start(bin: string): Postgres {
    const folder = mkdtempSync(join(tmpdir(), 'rec-pg-'));
    if (isRoot) {
      const id = (flag: string) => Number(execFileSync('id', [flag, 'postgres']));
      chownSync(folder, id('-u'), id('-g'));
    }
    const postgres = new Postgres(bin, folder);
    const data = ['-D', join(folder, 'data')];
    postgres.#execute('initdb', [...data, '-A', 'trust', '-U', 'postgres', '-N', '-E', 'UTF8', '--locale=C']);
    const options = `-k ${folder} -h '' -F`;
    postgres.#execute('pg_ctl', [...data, '-w', '-l', join(folder, 'log'), '-o', options, 'start']);
    return postgres;
  }

  /** Turns to an empty schema. */
  renew(name: string): void {
    this.query(`CREATE SCHEMA ${name}`);
    this.#schema = name;
  }

  /** Rows as text, a line a row, tabs between the columns; NULL is an empty text. `input` goes to COPY ... FROM STDIN. */
  query(sql: string, input?: string): string {
    const server = `host=${this.#folder} user=postgres dbname=postgres options='-c search_path=${this.#schema}'`;
    const args = ['-d', server, '-XqAt', '-F', '\t', '-v', 'ON_ERROR_STOP=1', '-c', sql];
    return this.#execute('psql', args, input).trimEnd();
  }

  async run(sql: string): Promise<void> {
    this.query(sql);
  }

  async numbers(sql: string): Promise<number[]> {
    return this.query(sql)
      .split('\t')
      .map((cell) => (cell === '' ? Number.NaN : Number(cell)));
  }

  close(): void {
    this.#execute('pg_ctl', ['-D', join(this.#folder, 'data'), '-w', '-m', 'immediate', 'stop']);
    rmSync(this.#folder, { recursive: true, force: true });
  }

  /** PostgreSQL does not run as root: then its programs run as the user that Debian's package makes. */
  #execute(program: string, args: readonly string[], input = ''): string {
    const path = join(this.#bin, program);
    const [first, all] = isRoot ? ['runuser', ['-u', 'postgres', '--', path, ...args]] : [path, args];
    return execFileSync(first, all, {
      input,
      encoding: 'utf8',
      maxBuffer: 1 << 28,
      stdio: ['pipe', 'pipe', 'pipe'],
    });
  }
}
