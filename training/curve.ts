/** One epoch as the curve shows it. */
export interface CurveEpoch {
  epoch: number;
  /** Mean training loss, in nats a target. */
  loss: number;
  /** Validation metrics, fractions; an epoch without validation has none. */
  valid: Record<string, number>;
}

interface Point {
  x: number;
  y: number;
}

interface Panel {
  title: string;
  color: string;
  points: Point[];
  top: number;
}

const width = 640;
const panelHeight = 170;
const left = 70;
const right = 20;
const height = 2 * panelHeight + 80;

/**
 * The learning curve as a self-contained SVG: training loss above, a validation metric below, both against the epoch,
 * with the best epoch marked. Epochs whose value is missing or not finite leave a gap.
 *
 * @param metric key of `valid`, as 'ndcg@10'
 * @param bestEpoch the epoch of the best checkpoint, as numbered in `epochs`; one that is not there is not marked
 */
export function learningCurve(epochs: readonly CurveEpoch[], metric: string, bestEpoch: number): string {
  const x = scale(
    niceTicks(
      epochs.map(({ epoch }) => epoch),
      { whole: true },
    ),
    left,
    width - right,
  );
  const best = epochs.find(({ epoch }) => epoch === bestEpoch);
  const panels: Panel[] = [
    {
      title: 'training loss (nats per target)',
      color: '#b3541e',
      points: epochs.map(({ epoch, loss }) => ({ x: epoch, y: loss })),
      top: 30,
    },
    {
      title: `validation ${metric} (fraction)`,
      color: '#1f5fa8',
      points: epochs.map(({ epoch, valid }) => ({ x: epoch, y: valid[metric] ?? Number.NaN })),
      top: 30 + panelHeight + 25,
    },
  ];
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" font-family="sans-serif" font-size="12" fill="#333">`,
    `<rect width="${width}" height="${height}" fill="#fff"/>`,
    ...panels.flatMap((panel) => drawPanel(panel, x, best && bestEpoch)),
    text((left + width - right) / 2, height - 8, 'epoch', 'middle'),
    '</svg>',
    '',
  ].join('\n');
}

function drawPanel({ title, color, points, top }: Panel, x: Scale, best: number | undefined): string[] {
  const bottom = top + panelHeight - 25;
  const y = scale(niceTicks(points.map((point) => point.y)), bottom, top);
  const marked = points.find((point) => point.x === best);
  const parts = [text(left, top - 9, title, 'start', `font-weight="bold" fill="${color}"`)];
  for (const tick of y.ticks) {
    parts.push(line(left, y.at(tick), width - right, y.at(tick), 'stroke="#e4e4e4"'));
    parts.push(text(left - 6, y.at(tick) + 4, label(tick), 'end'));
  }
  for (const tick of x.ticks) {
    parts.push(line(x.at(tick), bottom, x.at(tick), bottom + 4, 'stroke="#333"'));
    parts.push(text(x.at(tick), bottom + 17, label(tick), 'middle'));
  }
  parts.push(line(left, bottom, width - right, bottom, 'stroke="#333"'));
  if (marked) {
    parts.push(line(x.at(marked.x), top, x.at(marked.x), bottom, 'stroke="#777" stroke-dasharray="4 3"'));
    const value = Number.isFinite(marked.y) ? `: ${marked.y.toPrecision(4)}` : '';
    parts.push(text(width - right, top - 9, `best epoch ${marked.x}${value}`, 'end'));
  }
  for (const piece of withoutGaps(points)) {
    const path = piece.map((point) => `${round(x.at(point.x))},${round(y.at(point.y))}`).join(' ');
    parts.push(`<polyline points="${path}" fill="none" stroke="${color}" stroke-width="1.8"/>`);
    if (piece.length === 1) parts.push(circle(x.at(piece[0].x), y.at(piece[0].y), 2, color));
  }
  if (marked && Number.isFinite(marked.y)) parts.push(circle(x.at(marked.x), y.at(marked.y), 4, color));
  if (!points.some((point) => Number.isFinite(point.y)))
    parts.push(text((left + width - right) / 2, (top + bottom) / 2, 'no values', 'middle'));
  return parts;
}

/** Runs of neighbouring points that have a finite value. */
function withoutGaps(points: readonly Point[]): Point[][] {
  const pieces: Point[][] = [[]];
  for (const point of points) {
    if (Number.isFinite(point.y)) pieces[pieces.length - 1].push(point);
    else pieces.push([]);
  }
  return pieces.filter((piece) => piece.length);
}

interface Scale {
  ticks: number[];
  at(value: number): number;
}

/** Maps the range of the ticks onto [from, to] pixels. */
function scale(ticks: number[], from: number, to: number): Scale {
  const low = ticks[0];
  const span = ticks[ticks.length - 1] - low;
  return { ticks, at: (value) => from + ((value - low) / span) * (to - from) };
}

/** At least two round numbers (steps of 1, 2 or 5 times a power of ten) that enclose the finite values. */
function niceTicks(values: readonly number[], { whole = false } = {}): number[] {
  const finite = values.filter(Number.isFinite);
  const low = finite.length ? Math.min(...finite) : 0;
  const high = finite.length ? Math.max(...finite) : 1;
  const wanted = whole ? 8 : 4;
  const rough = (high - low || Math.abs(high) || 1) / wanted;
  const power = 10 ** Math.floor(Math.log10(rough));
  const nice = power * ([1, 2, 5, 10].find((factor) => factor * power >= rough * 0.999) ?? 10);
  const step = whole ? Math.max(1, nice) : nice;
  const first = Math.floor(low / step + 1e-9);
  const last = Math.max(first + 1, Math.ceil(high / step - 1e-9));
  return Array.from({ length: last - first + 1 }, (_, i) => (first + i) * step);
}

const round = (pixels: number) => Math.round(pixels * 10) / 10;
const label = (value: number) => String(Number(value.toPrecision(6)));

function line(x1: number, y1: number, x2: number, y2: number, style: string): string {
  return `<line x1="${round(x1)}" y1="${round(y1)}" x2="${round(x2)}" y2="${round(y2)}" ${style}/>`;
}

function circle(x: number, y: number, radius: number, color: string): string {
  return `<circle cx="${round(x)}" cy="${round(y)}" r="${radius}" fill="${color}"/>`;
}

function text(x: number, y: number, content: string, anchor: string, style = ''): string {
  const escaped = content.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
  return `<text x="${round(x)}" y="${round(y)}" text-anchor="${anchor}"${style && ` ${style}`}>${escaped}</text>`;
}
