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

/** 1234567 -> '1,234,567'; 0.01234 -> '0.0123'; 35.67 -> '35.7'. */
export function formatNumber(value: number): string {
  if (Number.isInteger(value)) return value.toLocaleString('en-US');
  if (Math.abs(value) >= 100) return Math.round(value).toLocaleString('en-US');
  return Math.abs(value) >= 10 ? value.toFixed(1) : value.toFixed(4);
}

/** Seconds as '0:07', '12:34', '3:04:05'. */
export function formatDuration(seconds: number): string {
  const whole = Math.round(seconds);
  const two = (n: number) => String(n).padStart(2, '0');
  const [h, m, s] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  return h ? `${h}:${two(m)}:${two(s)}` : `${m}:${two(s)}`;
}
