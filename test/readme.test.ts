import { readFileSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';

const file = (path: string) => readFileSync(new URL(`../${path}`, import.meta.url), 'utf8');
const readme = file('README.md');

test('the model shown in the README is the whole of examples/my-model.ts', () => {
  assert.ok(readme.includes(`\`\`\`ts\n${file('examples/my-model.ts').trimEnd()}\n\`\`\``));
});

test('the files that the README points to are there', () => {
  for (const [, path] of readme.matchAll(/\]\(([\w/.-]+)\)/g)) file(path);
});

test('the settings that the README names exist, with the defaults that it gives', async () => {
  const { trainSettings } = await import('../configs/train-settings.ts');
  const defaults = trainSettings.parse({}) as Record<string, unknown>;
  const named = [...readme.matchAll(/`train\.(\w+)` \((?:target rows a step, )?([\d.]+)\)/g)];
  assert.ok(named.length >= 4);
  for (const [, key, value] of named) assert.is(defaults[key], Number(value), key);
});

test('the commands that the README runs are scripts of the package', () => {
  const { scripts } = JSON.parse(file('package.json')) as { scripts: Record<string, string> };
  for (const [, name] of readme.matchAll(/`npm run ([\w:]+)/g)) assert.ok(name in scripts, name);
});

test.run();
