export { formatDuration, formatNumber } from '../common/format.ts';

const codes = { red: 31, green: 32, yellow: 33, bold: 1, dim: 2 };

/** Colours a text for a terminal; leaves it alone elsewhere, and where NO_COLOR is set (no-color.org). */
export function paint(stream: NodeJS.WriteStream, colour: keyof typeof codes, text: string): string {
  const plain = !stream.isTTY || process.env.NO_COLOR || process.env.TERM === 'dumb';
  return plain ? text : `\x1b[${codes[colour]}m${text}\x1b[0m`;
}

/** Rows as aligned columns, two spaces between; columns of numbers to the right. */
export function table(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = header.map((title, c) => Math.max(title.length, ...rows.map((row) => row[c].length)));
  const numeric = header.map((_, c) => rows.every((row) => /^[-\d.,%]*$/.test(row[c])));
  const line = (cells: readonly string[]) =>
    cells
      .map((cell, c) => (numeric[c] ? cell.padStart(widths[c]) : cell.padEnd(widths[c])))
      .join('  ')
      .trimEnd();
  return [header, ...rows].map(line).join('\n');
}
