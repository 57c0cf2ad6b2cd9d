import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { Cancelled, UserError } from '../../../common/errors.ts';
import { Progress } from '../../../common/progress.ts';
import { makeBinding, type SetupOptions } from '../../../engine/index.ts';
import { skipped } from '../../skip.ts';

const test = suite<{ folder: string; env: NodeJS.ProcessEnv }>('setup tensorflow');

test.before.each((context) => {
  context.env = { ...process.env };
  context.folder = mkdtempSync(join(tmpdir(), 'rec-setup-'));
  process.env.REC_CACHE = join(context.folder, 'cache');
});
test.after.each(({ folder, env }) => {
  process.env = env;
  rmSync(folder, { recursive: true });
});

async function failure(given: SetupOptions): Promise<string> {
  const error = await makeBinding(given, new Progress()).then(
    () => assert.unreachable('it did not fail'),
    (error: unknown) => error,
  );
  assert.instance(error, UserError);
  return (error as Error).message;
}

/** A Python of one line of shell. */
function fakePython(folder: string, line: string): string {
  const path = join(folder, 'python');
  writeFileSync(path, `#!/bin/sh\n${line}\n`);
  chmodSync(path, 0o755);
  return path;
}

/** A Python that finds TensorFlow in a folder of which only the named files are there, empty. */
function fakeTensorflow(folder: string, files: string[]): string {
  const home = join(folder, 'site-packages', 'tensorflow');
  for (const file of files) {
    mkdirSync(dirname(join(home, file)), { recursive: true });
    writeFileSync(join(home, file), '');
  }
  return fakePython(folder, `echo '${JSON.stringify({ folder: home, version: '2.9.1' })}'`);
}

const WHEEL = ['libtensorflow_cc.so.2', 'libtensorflow_framework.so.2', 'include/tensorflow/c/eager/c_api.h'];
const hasCompiler = spawnSync('g++', ['--version']).status === 0;
if (!hasCompiler) skipped('there is no g++');

for (const [what, content] of [
  ['damaged', '{ "tensorflow": "2.2'],
  ['of another version', '{ "tensorflow": "2.21.0", "library": "/somewhere" }'],
]) {
  test(`a file ${what} of what was set up is named, with what to do`, async () => {
    const folder = join(process.env.REC_CACHE!, 'tensorflow');
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, 'setup.json'), content);
    // In a process of its own: in this one another test may have loaded TensorFlow, which stays.
    const engine = new URL('../../../engine/index.ts', import.meta.url);
    const script = `import(${JSON.stringify(engine)}).then(async (m) => console.log((await m.probeDevice('tensorflow')).why))`;
    const { stdout } = spawnSync(process.execPath, ['--import', 'tsx', '-e', script], { encoding: 'utf8' });
    const why = stdout.trim();
    // Without the optional package it is that which is missed first.
    assert.match(why, /setup\.json does not say .*; run again: rec setup tensorflow$|is not installed/);
  });
}

test('no Python', async ({ folder }) => {
  const python = join(folder, 'nowhere');
  assert.match(await failure({ python: folder }), /cannot be run \(EACCES\)/);
  assert.match(
    await failure({ python }),
    /nowhere' cannot be run \(ENOENT\).*rec setup tensorflow --python PATH/,
  );
});

test('a Python that fails', async ({ folder }) => {
  const python = fakePython(folder, 'echo "no module named encodings" >&2; exit 1');
  assert.match(await failure({ python }), /failed: no module named encodings; .*--python PATH/);
});

test('a Python without TensorFlow', async ({ folder }) => {
  // Isolated, and without site-packages.
  const python = fakePython(folder, 'exec python3 -I -S "$@"');
  if (spawnSync('python3', ['--version']).status !== 0) return skipped('no python3');
  assert.match(
    await failure({ python }),
    /has no TensorFlow; .*rec setup tensorflow --install .*--install gpu/,
  );
});

test('a TensorFlow that is too old', async ({ folder }) => {
  const python = fakeTensorflow(folder, WHEEL.slice(1));
  assert.match(
    await failure({ python }),
    /TensorFlow 2\.9\.1 in .* has no libtensorflow_cc\.so\.2.*python -m pip install --upgrade tensorflow/,
  );
});

test('no compiler', async ({ folder }) => {
  const python = fakeTensorflow(folder, WHEEL);
  process.env.CXX = '/nowhere/g++';
  assert.match(await failure({ python }), /no C\+\+ compiler: \/nowhere\/g\+\+ .*apt-get install g\+\+/);
});

if (hasCompiler)
  test('headers that do not fit leave nothing behind', async ({ folder }) => {
    const python = fakeTensorflow(folder, WHEEL);
    assert.match(
      await failure({ python }),
      /could not compile .*: fatal error: tensorflow\/c\/.*\.h: .*; the compiler must/,
    );
    assert.equal(readdirSync(join(folder, 'cache', 'tensorflow')), []);
  });

test('pip that finds no wheel', async ({ folder }) => {
  for (const flavour of ['cpu', 'gpu']) {
    // An environment that is there already, as after an interrupted installation.
    const own = join(folder, 'cache', 'tensorflow', `venv-${flavour}`, 'bin');
    mkdirSync(own, { recursive: true });
    writeFileSync(join(own, 'pip'), '');
    fakePython(
      own,
      'for last; do :; done; echo "ERROR: No matching distribution found for $last" >&2; exit 1',
    );
  }
  assert.match(
    await failure({ install: 'cpu' }),
    /pip could not install tensorflow-cpu: ERROR: No matching.* tensorflow-cpu;.*PIP_INDEX_URL.*--python PATH/,
  );
  assert.match(await failure({ install: 'gpu' }), /No matching.* tensorflow\[and-cuda\];/);
});

test('a Python that cannot make an environment', async ({ folder }) => {
  const python = fakePython(folder, 'echo "ensurepip is not available" >&2; exit 1');
  assert.match(
    await failure({ python, install: 'cpu' }),
    /-m venv failed \(ensurepip is not available\); .*apt-get install python3-venv/,
  );
});

test('an interruption ends what runs', async ({ folder }) => {
  const python = fakePython(folder, `echo started > ${join(folder, 'started')}; exec sleep 60`);
  const progress = new Progress(undefined, () => existsSync(join(folder, 'started')));
  const error = await makeBinding({ python }, progress).catch((error: unknown) => error);
  assert.instance(error, Cancelled);
});

test.run();
