import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { Progress } from '../../common/progress.ts';
import { type Report, writeReport } from '../../reports/index.ts';
import { skipped } from '../skip.ts';
import { type Described, writeRun } from './support.ts';

const test = suite<{ folder: string; page: string; report: Report }>('html');

const runs: Described[] = [
  { model: 'unisrec', encoder: 'lsa', level: 5 },
  { model: 'sasrec', level: 12 },
  { model: 'gru4rec', level: 30 },
  { model: 'sasrec', level: 9, dataset: '</script><b>games</b>' },
];

test.before(async (context) => {
  context.folder = mkdtempSync(join(tmpdir(), 'rec-html-'));
  for (const [i, run] of runs.entries()) await writeRun(join(context.folder, 'runs', `run-${i}`), run);
  const out = [join(context.folder, 'report.html')];
  context.report = await writeReport(
    { paths: [join(context.folder, 'runs')], baselines: [], out },
    new Progress(),
  );
  context.page = readFileSync(out[0], 'utf8');
});
test.after(({ folder }) => rmSync(folder, { recursive: true }));

const chromium = ['chromium', 'chromium-browser', 'google-chrome'].find(
  (name) => spawnSync(name, ['--version']).status === 0,
);

/** Opens the page in Chromium, lets a script act in it, and returns what it says. */
function inBrowser(folder: string, page: string, script: string): unknown {
  const path = join(folder, 'acted.html');
  const acting = `<script>
    const errors = [];
    addEventListener('error', ({ message }) => errors.push(message));
    addEventListener('unhandledrejection', ({ reason }) => errors.push(String(reason)));
  </script>`;
  const tail = `<pre id="said"></pre><script>
    Promise.all(views.map((view) => view.runAsync())).then(async () => {
      const said = await (async () => { ${script} })();
      document.querySelector('#said').textContent = JSON.stringify({ said, errors }).replaceAll('<', '\\\\u003c');
    });
  </script>`;
  writeFileSync(path, page.replace('<body>', `<body>${acting}`).replace('</body>', `${tail}</body>`));
  const options = ['--headless', '--no-sandbox', '--disable-gpu', '--virtual-time-budget=5000'];
  const { stdout, stderr } = spawnSync(
    chromium!,
    [...options, `--user-data-dir=${join(folder, 'profile')}`, '--dump-dom', `file://${path}`],
    { encoding: 'utf8', timeout: 60_000, maxBuffer: 1 << 26 },
  );
  const found = /<pre id="said">(.+?)<\/pre>/.exec(stdout);
  assert.ok(found, `the page said nothing: ${stderr}`);
  const { said, errors } = JSON.parse(found![1].replaceAll('&amp;', '&').replaceAll('&gt;', '>'));
  assert.equal(errors, []);
  return said;
}

test('everything is in the page', ({ page }) => {
  assert.not.match(page, /<(script|link|img)[^>]*\b(src|href)="(?!data:)/);
  assert.ok(page.length < 800_000, String(page.length));
});

test('in Chromium: tables sort and filter, charts are drawn and follow the filter, and nothing is fetched', ({
  folder,
  page,
  report,
}) => {
  if (!chromium) return skipped('no chromium (Debian: apt-get install chromium), the page was not opened');
  const said = inBrowser(
    folder,
    page,
    `
    const table = document.querySelector('table');
    const names = () => [...table.tBodies[0].rows].filter((row) => !row.hidden).map((row) => row.dataset.system);
    const header = (text) => [...table.querySelectorAll('th button')].find((button) => button.textContent === text);
    const orders = {};
    orders.first = names();
    header('R@10').click();
    orders.descending = names();
    orders.aria = header('R@10').closest('th').ariaSort;
    header('R@10').click();
    orders.ascending = names();
    header('model').click();
    orders.model = names();
    const marks = () => document.querySelectorAll('#chart-0 .mark-line path').length;
    const bars = () => document.querySelectorAll('#chart-0 .mark-rect path').length;
    const before = [marks(), bars()];
    const filter = document.querySelector('#filter');
    filter.value = 'SASRec';
    filter.dispatchEvent(new Event('input'));
    await Promise.all(views.map((view) => view.runAsync()));
    return {
      orders, filtered: names(), before, after: [marks(), bars()],
      charts: document.querySelectorAll('[id^=chart-] svg').length,
      titles: [...document.querySelectorAll('h2')].map((h) => h.textContent),
      cell: table.tBodies[0].rows[0].cells[3].textContent, improvement: table.tFoot.textContent,
      fetched: performance.getEntriesByType('resource').map(({ name }) => name),
      legend: document.querySelectorAll('#chart-0 .role-legend-label text').length,
    };`,
  ) as Record<string, unknown> & { orders: Record<string, unknown> };

  const recall = ({ results }: Report['systems'][number]) => results[0]!.metrics['recall@10'].mean;
  const known = report.systems.filter(({ results }) => results[0]);
  const descending = known.toSorted((a, b) => recall(b) - recall(a)).map(({ name }) => name);
  assert.equal(said.orders.descending, descending);
  assert.is(said.orders.aria, 'descending');
  assert.equal(said.orders.ascending, descending.toReversed());
  assert.equal(said.orders.model, descending.toSorted());
  assert.equal(
    said.orders.first,
    report.systems.map(({ name }) => name),
  );
  assert.equal(said.filtered, ['sasrec']);
  // Three panels with a line of each trained system; four buckets with a bar of each system.
  assert.equal(said.before, [9, 16]);
  assert.equal(said.after, [3, 4]);
  assert.is(said.charts, 2);
  assert.is(said.legend, 4);
  assert.ok((said.titles as string[]).includes('</script><b>games</b>'));
  assert.match(said.improvement as string, /^improvement\+\d/);
  assert.equal(said.fetched, []);
});

test.run();
