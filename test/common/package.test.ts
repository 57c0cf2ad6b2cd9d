import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { packageFolder, packageManifest } from '../../common/package.ts';

test('the package has every folder that its sources import from, and pins every dependency', () => {
  const { files } = JSON.parse(readFileSync(join(packageFolder, 'package.json'), 'utf8')) as {
    files: string[];
  };
  const folders = readdirSync(packageFolder, { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && files.includes(entry.name))
    .map(({ name }) => name);
  const sources = folders.flatMap((folder) =>
    readdirSync(join(packageFolder, folder), { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.ts'))
      .map((name) => join(folder, name)),
  );
  for (const source of [...sources, 'index.ts']) {
    const text = readFileSync(join(packageFolder, source), 'utf8');
    for (const [, path] of text.matchAll(/(?:from |import\(|new URL\()'(\.{1,2}\/[^']+)'/g)) {
      const [top] = join(source, '..', path).split('/');
      assert.ok(
        files.includes(top) || top === 'package.json',
        `${source} imports ${path}, which is not in the package`,
      );
    }
  }
  for (const [name, version] of Object.entries(packageManifest().dependencies))
    assert.match(version, /^\d+\.\d+\.\d+(-[\w.]+)?$/, name);
});

test.run();
