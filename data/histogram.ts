/** How many values lie from `from` to `to`, both included. */
export interface Bin {
  from: number;
  to: number;
  count: number;
}

export interface Histogram {
  title: string;
  /** What is counted ('rows', 'items'). */
  unit: string;
  bins: Bin[];
}

/** Counts whole numbers in bins that double: 0, 1, 2, 3-4, 5-8, 9-16, ...; from the first bin that has a value to the last. */
export function countDoubling(values: Iterable<number>): Bin[] {
  const counts: number[] = [];
  for (const value of values) {
    const bin = value < 1 ? 0 : 1 + Math.ceil(Math.log2(value));
    counts[bin] = (counts[bin] ?? 0) + 1;
  }
  const bins = Array.from(counts, (count = 0, bin) => ({
    from: bin < 3 ? bin : 2 ** (bin - 2) + 1,
    to: bin < 3 ? bin : 2 ** (bin - 1),
    count,
  }));
  return bins.slice(bins.findIndex(({ count }) => count > 0));
}

/** '5-8'. */
export const binLabel = ({ from, to }: Bin): string => (from === to ? String(from) : `${from}-${to}`);

const width = 640;
const left = 90;
const right = 90;
const barHeight = 16;
const step = 20;
const panelTop = 40;

/** Histograms, one below the other, as a self-contained SVG: a bar a bin, its count beside it. */
export function histogramsAsSvg(heading: string, histograms: readonly Histogram[]): string {
  const panels: string[] = [];
  let top = 50;
  for (const histogram of histograms) {
    panels.push(...drawPanel(histogram, top));
    top += panelTop + histogram.bins.length * step + 20;
  }
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${top}" width="${width}" height="${top}" font-family="sans-serif" font-size="12" fill="#333">`,
    `<rect width="${width}" height="${top}" fill="#fff"/>`,
    text(20, 28, heading, 'start', 'font-size="15" font-weight="bold"'),
    ...panels,
    '</svg>',
    '',
  ].join('\n');
}

function drawPanel({ title, unit, bins }: Histogram, top: number): string[] {
  const most = bins.reduce((max, { count }) => Math.max(max, count), 1);
  const total = bins.reduce((sum, { count }) => sum + count, 0);
  const parts = [text(20, top + 16, `${title} (${unit}: ${total})`, 'start', 'font-weight="bold"')];
  bins.forEach((bin, i) => {
    const y = top + panelTop - 10 + i * step;
    const length = ((width - left - right) * bin.count) / most;
    parts.push(text(left - 8, y + 12, binLabel(bin), 'end'));
    parts.push(
      `<rect x="${left}" y="${y}" width="${length.toFixed(1)}" height="${barHeight}" fill="#1f5fa8"/>`,
    );
    parts.push(text(left + length + 6, y + 12, String(bin.count), 'start'));
  });
  return parts;
}

function text(x: number, y: number, content: string, anchor: string, style = ''): string {
  const escaped = content.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
  return `<text x="${x.toFixed(1)}" y="${y}" text-anchor="${anchor}"${style && ` ${style}`}>${escaped}</text>`;
}
