import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ProgressRenderer } from '../../cli/progress.ts';
import type { ProgressEvent } from '../../common/progress.ts';

/** What a renderer writes for events at given times (ms), on a terminal or elsewhere. */
function rendered(tty: boolean, events: [at: number, event: ProgressEvent][], quiet = false): string[] {
  const written: string[] = [];
  let time = 0;
  const stream = { isTTY: tty, columns: 60, write: (text: string) => written.push(text) };
  const renderer = new ProgressRenderer(stream as unknown as NodeJS.WriteStream, quiet, () => time);
  for (const [at, event] of events) {
    time = at;
    renderer.handle(event);
  }
  renderer.close();
  return written;
}

const epoch = (n: number): ProgressEvent => ({
  kind: 'epoch',
  row: { epoch: n, loss: 6.54321, best: n === 2 },
});

test('plain lines have no control characters and come seconds apart', () => {
  const events: [number, ProgressEvent][] = [[0, { kind: 'begin', task: 'read', unit: 'rows', total: 1000 }]];
  for (let done = 1; done <= 100; done++) events.push([done * 100, { kind: 'advance', done: done * 10 }]);
  const lines = rendered(false, events);
  assert.is(lines.length, 4); // at 0, 3, 6 and 9 s of 10
  for (const line of lines) assert.ok([...line.slice(0, -1)].every((c) => c >= ' ' && c < '\x7f'));
  assert.is(lines[1], 'read  [######--------------]   30%  300/1,000 rows  100/s  ETA 0:07\n');
});

test('epochs, warnings and notes are never held back', () => {
  const lines = rendered(false, [
    [0, epoch(1)],
    [100, epoch(2)],
    [200, { kind: 'note', text: 'a note' }],
    [300, { kind: 'warning', text: 'a warning' }],
    [400, epoch(3)],
  ]);
  assert.equal(lines, [
    '  epoch    loss    best\n',
    '      1  6.5432        \n',
    '      2  6.5432       *\n',
    'a note\n',
    'warning: a warning\n',
    '      3  6.5432        \n',
  ]);
});

test('a terminal has a bar that lines are printed above', () => {
  const written = rendered(true, [
    [0, { kind: 'begin', task: 'epoch 1', unit: 'steps', total: 4 }],
    [500, { kind: 'advance', done: 1 }],
    [600, epoch(2)],
    [700, { kind: 'end' }],
  ]);
  const clear = '\r\x1b[K';
  assert.ok(written.every((text) => !text.includes('\n') || !text.startsWith(clear)));
  const bars = written.filter((text) => text.startsWith(`${clear}epoch 1`));
  assert.ok(bars.length >= 3);
  assert.ok(bars.every((bar) => bar.length - clear.length < 60));
  assert.match(written.join(''), /\*\n/);
  assert.is(written.at(-1), clear);
});

test('quiet shows warnings only', () => {
  const lines = rendered(
    false,
    [
      [0, { kind: 'begin', task: 'read', unit: 'rows' }],
      [1, { kind: 'note', text: 'a note' }],
      [2, epoch(1)],
      [3, { kind: 'warning', text: 'careful' }],
    ],
    true,
  );
  assert.equal(lines, ['warning: careful\n']);
});

test.run();
