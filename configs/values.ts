/** A nested mapping of plain values. */
export interface Values {
  [key: string]: unknown;
}

/** Settings from one place: what they are, and where each (by dotted key) was written. */
export interface Layer {
  values: Values;
  origin(key: string): string;
}

/** True for a mapping, false for lists, dates, and everything else. */
export function isValues(value: unknown): value is Values {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Date);
}

/** The part of a layer under these keys of its top level. */
export function only(layer: Layer, names: readonly string[]): Layer {
  const kept = Object.entries(layer.values).filter(([name]) => names.includes(name));
  return { ...layer, values: Object.fromEntries(kept) };
}

/** The part of a layer that is not under these keys of its top level. */
export function without(layer: Layer, names: readonly string[]): Layer {
  return only(
    layer,
    Object.keys(layer.values).filter((name) => !names.includes(name)),
  );
}

/** Without a prototype, so that a key named like one of Object's own ('__proto__') is only a key. */
export function empty(): Values {
  return Object.create(null) as Values;
}

/** Sets the value at a path, making the mappings on the way. */
export function assign(values: Values, path: readonly string[], value: unknown): void {
  let at = values;
  for (const name of path.slice(0, -1)) {
    if (!isValues(at[name])) at[name] = empty();
    at = at[name] as Values;
  }
  at[path[path.length - 1]] = value;
}

/** The values inside, by dotted key; `isValue` says which mappings are values themselves. */
export function* leavesOf(
  values: Values,
  isValue: (mapping: Values) => boolean = () => false,
  prefix = '',
): Generator<[string, unknown]> {
  for (const [name, value] of Object.entries(values)) {
    if (isValues(value) && !isValue(value)) yield* leavesOf(value, isValue, `${prefix}${name}.`);
    else yield [prefix + name, value];
  }
}
