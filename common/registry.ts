import { UsageError, unknownName } from './errors.ts';

/** Definitions that are chosen by name: those that come with the project, and those that plugins add. */
export class Registry<T extends { name: string }> {
  readonly #kind: string;
  readonly #builtIn: readonly T[];
  readonly #added = new Map<string, T>();

  /** @param kind as in `--model` and 'unknown model' */
  constructor(kind: string, builtIn: readonly T[]) {
    this.#kind = kind;
    this.#builtIn = builtIn;
  }

  readonly all = (): T[] => [...this.#builtIn, ...this.#added.values()];

  readonly names = (): string[] => this.all().map(({ name }) => name);

  /** @throws UsageError that names the nearest one there is. */
  readonly get = (name: string): T => {
    const found = this.all().find((one) => one.name === name);
    if (!found) throw unknownName(this.#kind, name, this.names(), `--${this.#kind}`);
    return found;
  };

  /**
   * Adds a plugin's definition, in place of an earlier one of that name.
   * @throws UsageError where the name is that of a built-in one
   */
  readonly add = (definition: T): void => {
    const { name } = definition;
    if (this.#builtIn.some((one) => one.name === name))
      throw new UsageError(`${this.#kind} '${name}' is built in; give the plugin's a name of its own`);
    this.#added.set(name, definition);
  };
}
