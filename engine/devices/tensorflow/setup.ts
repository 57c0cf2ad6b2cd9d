import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { basename, dirname, join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { UserError } from '../../../common/errors.ts';
import { ensureWritableFolder, hashJson, writeFileAtomic } from '../../../common/files.ts';
import { Progress } from '../../../common/progress.ts';
import {
  bindingFile,
  packageFolder,
  quietFile,
  SETUP,
  type Setup,
  setupFile,
  setupFolder,
} from './binding.ts';
import { type Flavour, flavours } from './flavours.ts';

export interface SetupOptions {
  /** A Python that has TensorFlow, or that makes the environment to install it in. */
  python?: string;
  /** Install TensorFlow with pip, into an environment in the cache folder. */
  install?: Flavour;
}

const LIBRARIES = ['libtensorflow_cc.so.2', 'libtensorflow_framework.so.2'];
/** An environment for each flavour: pip cannot have both in one. */
const ownEnvironment = (flavour: Flavour) => join(setupFolder(), `venv-${flavour}`);
const pythonOf = (environment: string) => join(environment, 'bin', 'python');

/**
 * Compiles tfjs-node's binding against the library in TensorFlow's Python wheel, into the cache folder.
 * @throws UserError with the command that mends it, where Python, TensorFlow, a compiler or headers are missing
 */
export async function makeBinding(options: SetupOptions, progress: Progress): Promise<Setup> {
  if (process.platform !== 'linux')
    throw new UserError(`${SETUP} works on Linux only; this is ${process.platform}`);
  const { install } = options;
  const python = install ? await installTensorflow(options, install, progress) : choosePython(options);
  const { version, folder } = await findTensorflow(python, progress);
  progress.note(`TensorFlow ${version} in ${folder}`);
  const compiler = await findCompiler();
  progress.note(`compiling tfjs-node's binding with ${compiler}`);
  await ensureWritableFolder(setupFolder());
  // A folder for each TensorFlow, so that another process may go on with what it has.
  const binding = join(setupFolder(), `binding-${hashJson({ version, folder }).slice(0, 8)}`);
  const temporary = await mkdtemp(join(setupFolder(), 'build-'));
  try {
    await compile(compiler, folder, temporary, progress);
    await mkdir(binding, { recursive: true });
    for (const name of [bindingFile, quietFile]) await rename(join(temporary, name), join(binding, name));
  } finally {
    await rm(temporary, { recursive: true, force: true });
  }
  const setup = { tensorflow: version, library: folder, python, binding };
  await writeFileAtomic(setupFile(), `${JSON.stringify(setup, null, 2)}\n`);
  return setup;
}

/** Takes back what `makeBinding` made. */
export const removeBinding = (): Promise<void> => rm(setupFile(), { force: true });

function choosePython({ python }: SetupOptions): string {
  if (python !== undefined) return python;
  const own = (['gpu', 'cpu'] as const).map((flavour) => pythonOf(ownEnvironment(flavour)));
  return own.find(existsSync) ?? 'python3';
}

/** Makes an environment in the cache folder and installs TensorFlow into it with pip, as pip is configured. @returns its Python */
async function installTensorflow(
  { python = 'python3' }: SetupOptions,
  flavour: Flavour,
  progress: Progress,
): Promise<string> {
  const environment = ownEnvironment(flavour);
  const own = pythonOf(environment);
  const packageName = flavours[flavour];
  // pip comes last.
  if (!existsSync(join(dirname(own), 'pip'))) {
    progress.note(`making a Python environment in ${environment}`);
    await ensureWritableFolder(setupFolder());
    const made = await run(python, ['-m', 'venv', environment], progress);
    if (made.code !== 0)
      throw new UserError(
        `${python} -m venv failed (${lastLine(made)}); install what it needs, e.g. apt-get install python3-venv, or name ` +
          `another Python: ${SETUP} --install --python PATH`,
      );
  }
  progress.note(`pip install ${packageName}: some hundred megabytes, or gigabytes with CUDA`);
  const pip = ['-m', 'pip', 'install', '--disable-pip-version-check', '--progress-bar', 'off', packageName];
  const installed = await run(own, pip, progress);
  if (installed.code !== 0)
    throw new UserError(
      `pip could not install ${packageName}: ${lastLine(installed)}; on a closed network say where wheels are with ` +
        `PIP_INDEX_URL or PIP_FIND_LINKS, or give a Python that has TensorFlow: ${SETUP} --python PATH`,
    );
  return own;
}

/** Finds the package without importing it, which would take seconds. */
const FIND = `
import importlib.metadata as m, importlib.util as u, json
spec = u.find_spec('tensorflow')
folder = spec and spec.submodule_search_locations and list(spec.submodule_search_locations)[0]
versions = {d.metadata['Name'].lower(): d.version for d in m.distributions() if (d.metadata['Name'] or '').lower().startswith('tensorflow')}
names = ['tensorflow', 'tensorflow-cpu', 'tensorflow_cpu', *versions]
print(json.dumps({'folder': folder, 'version': next((versions[n] for n in names if n in versions), 'of unknown version')}))
`;

async function findTensorflow(
  python: string,
  progress: Progress,
): Promise<{ version: string; folder: string }> {
  const asked = await run(python, ['-c', FIND], progress);
  if (asked.code !== 0)
    throw new UserError(
      `${python} failed: ${lastLine(asked)}; name a Python that works: ${SETUP} --python PATH`,
    );
  const { folder, version } = JSON.parse(asked.stdout) as { folder: string | null; version: string };
  if (!folder)
    throw new UserError(
      `${python} has no TensorFlow; let rec install it in an environment of its own: ${SETUP} --install (for a GPU: ` +
        `--install gpu), or name a Python that has it: ${SETUP} --python PATH`,
    );
  const upgrade = `${python} -m pip install --upgrade tensorflow`;
  for (const file of [...LIBRARIES, 'include/tensorflow/c/eager/c_api.h'])
    if (!existsSync(join(folder, file)))
      throw new UserError(
        `TensorFlow ${version} in ${folder} has no ${basename(file)}, which newer wheels have (2.21 does); upgrade it: ${upgrade}`,
      );
  return { version, folder };
}

async function findCompiler(): Promise<string> {
  const names = process.env.CXX ? [process.env.CXX] : ['g++', 'clang++', 'c++'];
  for (const name of names) if (await works(name, ['--version'])) return name;
  throw new UserError(
    `no C++ compiler: ${names.join(', ')} ${names.length > 1 ? 'are' : 'is'} not to be found; install one, e.g. ` +
      'apt-get install g++, or name one in CXX',
  );
}

async function compile(compiler: string, tensorflow: string, to: string, progress: Progress): Promise<void> {
  const sources = join(packageFolder(), 'binding');
  const common = ['-std=c++17', '-O2', '-fPIC', '-shared', '-DNAPI_VERSION=8', '-I', nodeHeaders()];
  const jobs = [
    [...common, fileURLToPath(new URL('quiet.cc', import.meta.url)), '-o', join(to, quietFile), '-ldl'],
    [
      ...[...common, '-I', join(tensorflow, 'include')],
      ...['tfjs_backend.cc', 'tfjs_binding.cc'].map((file) => join(sources, file)),
      ...['-o', join(to, bindingFile)],
      ...LIBRARIES.map((file) => join(tensorflow, file)),
      `-Wl,-rpath,${tensorflow}`,
    ],
  ];
  for (const args of jobs) {
    const { code, stderr } = await run(compiler, args, progress);
    if (code === 0) continue;
    const first =
      stderr.split('\n').find((line) => /error|undefined reference/i.test(line)) ?? stderr.split('\n')[0];
    throw new UserError(
      `${compiler} could not compile tfjs-node's binding against TensorFlow: ${first.trim()}; the compiler must know ` +
        'C++17 (CXX names another one), and TensorFlow must not be old (2.21 is tried)',
    );
  }
}

/** Headers of Node's C interface, which are the same for all versions of Node. */
function nodeHeaders(): string {
  try {
    return (createRequire(import.meta.url)('node-api-headers') as { include_dir: string }).include_dir;
  } catch {
    throw new UserError(
      'the package node-api-headers is not installed; it is an optional dependency: npm install --include=optional',
    );
  }
}

interface Outcome {
  code: number;
  stdout: string;
  stderr: string;
}

/** Runs a program to its end, or until the user asks to stop. @throws UserError where it cannot be run */
async function run(program: string, args: readonly string[], progress = new Progress()): Promise<Outcome> {
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  const ended = once(child, 'close') as Promise<[code: number | null]>;
  const outputs = Promise.all([text(child.stdout), text(child.stderr)]);
  const unwatch = progress.watch(() => child.kill());
  try {
    const [code] = await ended;
    progress.check();
    const [stdout, stderr] = await outputs;
    return { code: code ?? 1, stdout, stderr };
  } catch (error) {
    const { code, syscall } = error as NodeJS.ErrnoException;
    if (!syscall?.startsWith('spawn')) throw error;
    throw new UserError(
      `'${program}' cannot be run (${code}); install it, or name a Python that can: ${SETUP} --python PATH`,
    );
  } finally {
    unwatch();
  }
}

const works = (program: string, args: readonly string[]): Promise<boolean> =>
  run(program, args).then(
    ({ code }) => code === 0,
    () => false,
  );

const lastLine = ({ stdout, stderr }: Outcome): string =>
  (stderr || stdout).trim().split('\n').at(-1) || 'it said nothing';
