import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { learningCurve } from '../../training/curve.ts';

const epochs = Array.from({ length: 20 }, (_, i) => ({
  epoch: i + 1,
  loss: 7 - Math.log(i + 1),
  valid: { 'ndcg@10': 0.05 * (1 - Math.exp(-i / 4)) },
}));

/** Every element closed, in order: enough of XML for what the curve writes. */
function wellFormed(svg: string): void {
  const open: string[] = [];
  for (const [, slash, name, rest] of svg.matchAll(/<(\/?)(\w+)((?:\s+[\w:-]+="[^"<]*")*\s*\/?)>/g)) {
    if (slash) assert.is(open.pop(), name);
    else if (!rest.endsWith('/')) open.push(name);
  }
  assert.equal(open, []);
  assert.not.match(svg.replaceAll(/<[^<>]*>/g, ''), /[<>]/);
  assert.not.match(svg, /NaN|Infinity|undefined/);
}

const lines = (svg: string) =>
  [...svg.matchAll(/<polyline points="([^"]*)"/g)].map(([, points]) =>
    points.split(' ').map((p) => p.split(',').map(Number)),
  );

test('two lines with a point an epoch; axes named with units; the best epoch marked', () => {
  const svg = learningCurve(epochs, 'ndcg@10', 15);
  wellFormed(svg);
  const [loss, metric] = lines(svg);
  assert.is(loss.length, 20);
  assert.is(metric.length, 20);
  for (let i = 1; i < 20; i++) {
    assert.ok(loss[i][0] > loss[i - 1][0]);
    assert.ok(loss[i][1] > loss[i - 1][1], 'a falling loss goes down: y grows');
    assert.ok(metric[i][1] <= metric[i - 1][1]);
    assert.is(loss[i][0], metric[i][0]);
  }
  for (const words of [
    'training loss (nats per target)',
    'validation ndcg@10 (fraction)',
    'epoch',
    'best epoch 15: 0.04849',
  ])
    assert.ok(svg.includes(words), words);
  const marked = svg.match(/<circle cx="([\d.]+)" cy="([\d.]+)" r="4"/g) ?? [];
  assert.is(marked.length, 2);
  assert.ok(svg.includes(`<circle cx="${metric[14][0]}" cy="${metric[14][1]}" r="4"`));
  assert.ok(svg.length < 10_000);
});

test('all points lie within the picture, whatever the range', () => {
  for (const factor of [1e-9, 0.003, 1, 12345, 1e12])
    for (const offset of [0, -3, 100]) {
      const svg = learningCurve(
        epochs.map((e) => ({ ...e, loss: offset + e.loss * factor })),
        'ndcg@10',
        1,
      );
      wellFormed(svg);
      for (const [x, y] of lines(svg)[0]) assert.ok(x >= 70 && x <= 620 && y >= 30 && y <= 200, `${x},${y}`);
      const ticks = svg.match(/stroke="#e4e4e4"/g)?.length ?? 0;
      assert.ok(ticks >= 4 && ticks <= 16, `${ticks} ticks`);
    }
});

test('one epoch, none, values that are missing or not finite, and hostile names', () => {
  wellFormed(learningCurve([], 'ndcg@10', 1));
  const one = learningCurve(epochs.slice(0, 1), 'ndcg@10', 1);
  wellFormed(one);
  assert.match(one, /<circle/);
  const gaps = learningCurve(
    epochs.map((e) => (e.epoch % 5 ? e : { ...e, loss: Number.NaN, valid: {} })),
    'ndcg@10',
    5,
  );
  wellFormed(gaps);
  assert.is(lines(gaps).length, 8);
  assert.ok(gaps.includes('best epoch 5<'));
  wellFormed(learningCurve(epochs, '<script>&', 2));
  assert.ok(learningCurve(epochs, 'recall@7', 2).includes('no values'));
});

test.run();
