import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { parseJudgments, parseRun } from '../../evaluation/trec.ts';
import { testFolder, writeFolder } from '../search/task-files.ts';
import { execHere, start } from './rec.ts';

const test = suite<{ folder: string; path: string; runs: string }>('rec search');

test.before((context) => {
  context.folder = testFolder();
  const things = [
    'red salt gun for bugs',
    'sun cream for kids',
    'garden chair of oak',
    'table lamp',
    'blue gun oil',
  ];
  const pool = things.map((metadata, i) => ({
    item_id: `B${i}`,
    category: i % 2 ? 'Home' : 'Garden',
    metadata,
  }));
  const csv =
    'qid,query,item_id\n0,a gun for garden bugs,B0\n1,cream,B1\n2,the,B2\n3,,B3\n4,chair,B2\n5,lamp,gone\n6,oil for a gun,B4\n';
  context.path = writeFolder(context.folder, 'shop', { 'test.csv': csv, 'pool.jsonl': pool });
  context.runs = join(context.folder, 'runs');
});
test.after(({ folder }) => rmSync(folder, { recursive: true }));

for (const [method, options] of [
  ['bm25', []],
  ['dense', ['--encoder', 'lsa', '--set', 'encoder.minCount=1', '--set', 'encoder.dims=8']],
  [
    'hybrid',
    [
      '--encoder',
      'lsa',
      '--set',
      'encoder.minCount=1',
      '--set',
      'encoder.dims=8',
      '--set',
      'hybrid.weight=0.5',
    ],
  ],
] as const) {
  test(`run: ${method}, longer lists than the pool`, async ({ path, runs }) => {
    const args = ['search', 'run', '--dataset', path, '--method', method, '--k', '1,1000', '--runs', runs];
    const { code, stdout, stderr } = await execHere([...args, ...options, '--json']);
    assert.is(code, 0, stderr);
    const result = JSON.parse(stdout);
    assert.equal(result.counts, { items: 5, queries: 7, judgments: 7, domains: 2 });
    assert.is(result.missing, 1);
    assert.ok(result.overQueries['recall@1000'] >= 4 / 7, stdout);
    assert.ok(result.overQueries['recall@1'] >= 2 / 7);
    const ranked = parseRun(readFileSync(join(result.run, 'run.trec'), 'utf8'), 'run.trec');
    const judged = parseJudgments(readFileSync(join(result.run, 'qrels.trec'), 'utf8'), 'qrels.trec');
    assert.is(judged.size, 7);
    assert.is(ranked.size, 7 - result.unanswered);
    assert.ok(!ranked.has('3'), 'an empty query finds nothing');
    for (const file of ['config.yaml', 'dataset.json', 'result.json'])
      assert.ok(existsSync(join(result.run, file)));
    if (method !== 'hybrid') return;
    // The configuration that was written makes the same result.
    const again = await execHere([
      'search',
      'run',
      '--config',
      join(result.run, 'config.yaml'),
      '--runs',
      runs,
      '--json',
    ]);
    assert.equal(JSON.parse(again.stdout).domains, result.domains, again.stderr);
  });
}

test('the table has both means and every domain', async ({ path, runs }) => {
  const { stdout } = await execHere(['search', 'run', '--dataset', path, '--runs', runs, '--quiet']);
  for (const words of [
    'mean over 3 domains',
    'mean over queries',
    'Garden',
    'pool of 5 items',
    'gains: relevant 1',
  ])
    assert.match(stdout, words);
  assert.match(stdout, 'relevant items that the pool lacks, which count as not found: 1');
  assert.match(stdout, 'queries that found nothing: 2');
});

test('query: texts, or lines of standard input', async ({ path, folder }) => {
  const { code, stdout } = await execHere([
    'search',
    'query',
    'a gun for garden bugs',
    '',
    '--dataset',
    path,
    '-n',
    '2',
    '--json',
  ]);
  assert.is(code, 0);
  const { answers } = JSON.parse(stdout);
  assert.equal(
    answers.map(({ found }: { found: { item: string }[] }) => found.map(({ item }) => item)),
    [['B0', 'B2'], []],
  );
  assert.is(answers[0].found[0].text, 'red salt gun for bugs');
  for (const [input, code, message] of [
    ['oak chair\n\nlamp\n', 0, ''],
    ['\n', 2, 'nothing to search for'],
  ] as const) {
    const args = ['search', 'query', '--dataset', path, '--quiet', '--json'];
    const { child, ended } = start(args, { REC_CACHE: join(folder, 'cache') });
    child.stdin?.end(input);
    const piped = await ended;
    assert.is(piped.code, code, piped.stderr);
    assert.match(piped.stderr, message);
    if (code === 0)
      assert.equal(
        JSON.parse(piped.stdout).answers.map(({ found }: { found: { item: string }[] }) => found[0].item),
        ['B2', 'B3'],
      );
  }
});

test('what cannot be meant is refused', async ({ path, folder, runs }) => {
  const refused = async (args: string[], code: number, ...messages: string[]) => {
    const ended = await execHere(args);
    assert.is(ended.code, code, ended.stderr);
    assert.is(ended.stdout, '');
    for (const message of messages) assert.match(ended.stderr, message);
  };
  await refused(['search'], 2, 'which action?');
  await refused(
    ['search', 'run', '--dataset', path, '--method', 'bm52'],
    2,
    "one of 'bm25', 'dense', 'hybrid'",
  );
  await refused(
    ['search', 'run', '--dataset', path, '--set', 'bm25.b=2'],
    2,
    'bm25.b must be number >= 0 and <= 1',
  );
  await refused(['search', 'run', '--dataset', 'demo'], 2, "dataset 'demo' is no search task");
  await refused(['run', '--model', 'sasrec', '--dataset', 'amazon-c4'], 2, "'amazon-c4' is a search task");
  await refused(['search', 'run', '--dataset', folder], 1, 'no search task was recognised');
  const dense = ['search', 'run', '--dataset', path, '--method', 'dense', '--runs', runs];
  await refused([...dense, '--encoder', 'random'], 1, 'it cannot embed a query');
  assert.not.ok(existsSync(runs) && readdirSync(runs).some((name) => name.includes('random')));
});

test.run();
