import { UserError } from '../../common/errors.ts';
import { numberOf } from './csv.ts';
import type { interactionShape, RowSource } from './source.ts';

/** How a file writes times. */
export type TimeFormat = 'seconds' | 'milliseconds' | 'microseconds' | 'nanoseconds' | 'dates';

/**
 * Tells the format of times from the first ones: numbers by the size of the largest (1e11 is 1973 in ms, the year 5138 in
 * s), or ISO 8601 dates, which may have a time and a zone; without a zone they are UTC.
 * @throws UserError where most are neither
 */
export function timeFormat(path: string, times: readonly unknown[]): TimeFormat {
  const known = times.filter((time) => time !== null && time !== '');
  const numbers = known.map(numberOf).filter((number) => !Number.isNaN(number));
  if (numbers.length * 2 > known.length) {
    const largest = Math.max(...numbers);
    const digits = [1e11, 1e14, 1e17].filter((limit) => largest >= limit).length;
    return (['seconds', 'milliseconds', 'microseconds', 'nanoseconds'] as const)[digits];
  }
  const dates = known.filter((time) => /^\s*\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}|\s*$)/.test(String(time)));
  if (dates.length * 2 > known.length) return 'dates';
  throw new UserError(
    `${path}: times are neither numbers (seconds or milliseconds since 1970) nor dates like 2021-08-11 or 2021-08-11T00:50:43Z; the first is '${known[0] ?? ''}'.`,
  );
}

type Reviews = RowSource<typeof interactionShape>;

/** The same rows, their times in a form that preparation understands: numbers, in seconds or milliseconds. */
export function inMilliseconds(rows: Reviews, format: TimeFormat): Reviews {
  if (format === 'seconds' || format === 'milliseconds') return rows;
  const divisor = { microseconds: 1e3, nanoseconds: 1e6, dates: 0 }[format];
  if ('push' in rows)
    return {
      ...rows,
      push: (add, bad, progress) =>
        rows.push(
          (line, row) =>
            add(line, { ...row, time: String(divisor ? numberOf(row.time) / divisor : dateOf(row.time)) }),
          bad,
          progress,
        ),
    };
  const time = divisor ? `TRY_CAST(time AS DOUBLE) / ${divisor}` : 'epoch_ms(TRY_CAST(time AS TIMESTAMPTZ))';
  return { ...rows, query: `SELECT * REPLACE (CAST(${time} AS VARCHAR) AS time) FROM (${rows.query})` };
}

/** ms since 1970 of a time as a file has it; NaN where it is none. */
export function instantOf(time: unknown, format: TimeFormat): number {
  if (format === 'dates') return dateOf(time);
  return numberOf(time) * { seconds: 1e3, milliseconds: 1, microseconds: 1e-3, nanoseconds: 1e-6 }[format];
}

/** A date and time without a zone is UTC here, as a date alone is to JavaScript. */
function dateOf(time: unknown): number {
  const text = String(time).trim().replace(' ', 'T');
  return Date.parse(/T[^Z+-]*$/.test(text) ? `${text}Z` : text);
}
