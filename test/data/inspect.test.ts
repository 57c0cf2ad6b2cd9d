import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { summaryAsText } from '../../cli/summary.ts';
import { countDoubling, histogramsAsSvg } from '../../data/histogram.ts';
import { inspectDataset } from '../../data/inspect.ts';
import { inFolder, load, writeFiles } from './helpers.ts';

const header = 'user_id,parent_asin,rating,timestamp';

test('bins double, from the first that has a value to the last', () => {
  const bins = (values: number[]) => countDoubling(values).map(({ from, to, count }) => [from, to, count]);
  assert.equal(bins([0, 0, 1, 2, 3, 4, 5, 8, 9]), [
    [0, 0, 2],
    [1, 1, 1],
    [2, 2, 1],
    [3, 4, 2],
    [5, 8, 2],
    [9, 16, 1],
  ]);
  assert.equal(bins([5, 33]), [
    [5, 8, 1],
    [9, 16, 0],
    [17, 32, 0],
    [33, 64, 1],
  ]);
  assert.equal(bins([]), []);
  // Every number is in the bin that says so.
  for (let n = 0; n < 3000; n++) {
    const [{ from, to }] = countDoubling([n]);
    assert.ok(from <= n && n <= to, `${n} in ${from}-${to}`);
  }
});

test('statistics, texts and histograms by hand', () =>
  inFolder(async (folder) => {
    const rows = [
      ...['a', 'b', 'c', 'd'].map((item, i) => `u,${item},5,${1600000000000 + i}`),
      ...['b', 'a', 'e'].map((item, i) => `v,${item},5,${1600000000000 + i}`),
    ];
    const texts = { a: 'Same', b: 'Same', c: 'Other', d: '', e: 'Same' };
    await writeFiles(folder, {
      'x.csv': [header, ...rows].join('\n'),
      'meta.jsonl': Object.entries(texts)
        .map(([id, title]) => JSON.stringify({ parent_asin: id, title }))
        .join('\n'),
    });
    const summary = inspectDataset(await load(folder));
    // Rows: a > b, ab > c, abc > d; b > a, ba > e.
    assert.equal(summary.table3, {
      users: 2,
      items: 5,
      interactions: 7,
      averageLength: 9 / 5,
      averageCharacters: (3 * 'Same    '.length + 'Other    '.length) / 5,
    });
    assert.equal(summary.texts, { empty: 1, emptyItems: ['d'], duplicates: 3, duplicateTexts: ['Same    '] });
    assert.equal(summary.seenTargets, { train: 0, valid: 0, test: 0 });
    assert.equal(
      summary.histograms.map(({ bins }) => bins.map(({ from, count }) => [from, count])),
      [
        [
          [1, 2],
          [2, 2],
          [3, 1],
        ],
        // Trained on: a and b of u, b of v; only u has a train row.
        [
          [0, 3],
          [1, 2],
        ],
      ],
    );
    const text = summaryAsText(summary);
    assert.match(text, /average length +average characters\n +2 +5 +7 +1\.80 +6\.6/);
    assert.match(text, /items without a text: 1 \(d\)/);
    assert.match(text, /items whose text another has too: 3\n {4}Same/);
    assert.match(text, /2 {2}#{40} 2\n +3-4 {2}#{20} 1/);
  }));

test('what the split leaks is said', () =>
  inFolder(async (folder) => {
    const at = (user: string, item: string, time: number) => `${user},${item},5,${1600000000000 + time}`;
    // u: in order. v: a train interaction after its valid one. w: the answer was seen before.
    const path = await writeFiles(`${folder}/files`, {
      'x.train.csv': [
        header,
        at('u', 'a', 0),
        at('u', 'b', 1),
        at('v', 'a', 0),
        at('v', 'b', 9),
        at('w', 'a', 0),
        at('w', 'b', 1),
      ].join('\n'),
      'x.valid.csv': [header, at('u', 'c', 2), at('v', 'c', 5), at('w', 'c', 3)].join('\n'),
      'x.test.csv': [header, at('u', 'd', 3), at('v', 'd', 10), at('w', 'a', 12)].join('\n'),
    });
    const summary = inspectDataset(await load(path, { dedupe: false }));
    assert.equal(summary.times, {
      train: [1600000000000, 1600000000009],
      valid: [1600000000002, 1600000000005],
      test: [1600000000003, 1600000000012],
      trainAfterValid: 1,
      usersOutOfOrder: 1,
    });
    assert.equal(summary.seenTargets, { train: 0, valid: 0, test: 1 });
    const text = summaryAsText(summary);
    assert.match(text, /LEAK: 1 users have train interactions after/);
    assert.match(text, /rows whose target is in their own history: 1 test/);
    const byTime = inspectDataset(
      await load(path, { split: 'timestamp', timestamps: [1600000000002, 1600000000010] }),
    );
    assert.equal([byTime.times?.trainAfterValid, byTime.times?.usersOutOfOrder], [0, 0]);
    assert.match(summaryAsText(byTime), /every train interaction is before the first valid one/);
  }));

test('the drawing has a bar a bin, as long as its count', () => {
  const bins = countDoubling([1, 1, 1, 1, 2, 3]);
  const svg = histogramsAsSvg('a <name> & more', [{ title: 't', unit: 'rows', bins }]);
  assert.match(svg, /^<svg [^>]*>\n.*<\/svg>\n$/s);
  assert.ok(svg.includes('a &lt;name&gt; &amp; more'));
  const widths = [...svg.matchAll(/<rect x[^>]* width="([\d.]+)"/g)].map(([, width]) => Number(width));
  assert.is(widths.length, 3);
  assert.equal(
    widths.map((width) => width / widths[0]),
    [1, 1 / 4, 1 / 4],
  );
});

test.run();
