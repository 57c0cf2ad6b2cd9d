import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { constants } from 'node:os';
import { dirname, join } from 'node:path';
import util from 'node:util';
import type { KernelBackend } from '@tensorflow/tfjs';
import { messageOf, UserError } from '../../../common/errors.ts';
import { cacheFolder } from '../../../common/files.ts';
import { tf } from '../../tf.ts';
import { registerKernels } from './kernels.ts';

const require = createRequire(import.meta.url);

/** Packages of tfjs that bind TensorFlow; either has the JavaScript and the C++ that both share. */
const PACKAGES = ['@tensorflow/tfjs-node-gpu', '@tensorflow/tfjs-node'];
export const BACKEND = 'tensorflow';
export const SETUP = 'rec setup tensorflow';

/** What `rec setup tensorflow` leaves in the cache folder as setup.json. */
export interface Setup {
  /** Version of TensorFlow. */
  tensorflow: string;
  /** Folder of its libraries and headers. */
  library: string;
  python: string;
  /** Folder of what was compiled. */
  binding: string;
}

/** A native binding that may be loaded. */
export interface FoundBinding {
  path: string;
  /** Set where it was made by `rec setup tensorflow`. */
  setup?: Setup;
}

export interface Tensorflow {
  binding: FoundBinding;
  /** Whether TensorFlow found a GPU to compute on. */
  gpu: boolean;
}

/** What `rec setup tensorflow` makes is here. */
export const setupFolder = (): string => cacheFolder('tensorflow');
export const setupFile = (): string => join(setupFolder(), 'setup.json');
export const bindingFile = 'tfjs_binding.node';
export const quietFile = 'quiet.node';

/** Where tfjs's packages lie, as far as they are installed. */
const packageFolders = (): string[] =>
  PACKAGES.flatMap((name) => {
    try {
      return [dirname(require.resolve(`${name}/package.json`))];
    } catch {
      return [];
    }
  });

/** Where the JavaScript and the sources of tfjs-node lie. @throws UserError where they are not installed */
export function packageFolder(): string {
  const [folder] = packageFolders();
  if (folder) return folder;
  throw new UserError(
    `the package ${PACKAGES[0]}, which brings TensorFlow's JavaScript side, is not installed; it is an optional ` +
      'dependency: npm install --include=optional',
  );
}

/** @throws UserError where the file is damaged, or of a version that kept other things in it */
function readSetup(): Setup {
  try {
    const setup = JSON.parse(readFileSync(setupFile(), 'utf8')) as Setup;
    if (typeof setup.binding === 'string' && typeof setup.library === 'string') return setup;
  } catch {
    // The same is to be done about a file that is no JSON.
  }
  throw new UserError(`${setupFile()} does not say which binding to TensorFlow is used; run again: ${SETUP}`);
}

/** The binding that `rec setup tensorflow` made, else one that tfjs's packages brought; undefined where there is none. */
function findBinding(): FoundBinding | undefined {
  if (existsSync(setupFile())) {
    const setup = readSetup();
    return { path: join(setup.binding, bindingFile), setup };
  }
  const libraries = packageFolders().map((folder) => join(folder, 'lib'));
  const built = libraries
    .filter(existsSync)
    .flatMap((library) => readdirSync(library).map((version) => join(library, version, bindingFile)));
  const path = built.filter(existsSync).at(-1);
  return path === undefined ? undefined : { path };
}

let loaded: Tensorflow | undefined;

/**
 * Loads TensorFlow and registers it as tfjs's backend 'tensorflow'; once in a thread.
 * @param threads of one operation; the process's first load decides
 * @throws UserError with the command that mends it
 */
export function loadTensorflow(threads?: number): Tensorflow {
  if (loaded) return loaded;
  const folder = packageFolder();
  const binding = findBinding();
  if (!binding)
    throw new UserError(
      `device 'tensorflow' needs TensorFlow's library, which is not set up yet; run: ${SETUP}`,
    );
  // Read by TensorFlow's library when it is loaded.
  process.env.TF_CPP_MIN_LOG_LEVEL ??= '3';
  // Else it takes a graphics card's whole memory at once.
  process.env.TF_FORCE_GPU_ALLOW_GROWTH ??= 'true';
  if (threads) process.env.TF_NUM_INTRAOP_THREADS = String(threads);
  restoreUtil();
  try {
    if (binding.setup) loadQuietly(binding.setup);
    const native = loadForGood(binding.path) as { isUsingGpuDevice(): boolean };
    require(join(folder, 'dist/register_all_kernels.js'));
    const { NodeJSKernelBackend } = require(join(folder, 'dist/nodejs_kernel_backend.js')) as {
      NodeJSKernelBackend: new (binding: unknown, packageName: string) => KernelBackend;
    };
    tf.registerBackend(BACKEND, () => new NodeJSKernelBackend(native, PACKAGES[0]), 0);
    registerKernels(BACKEND);
    loaded = { binding, gpu: native.isUsingGpuDevice() };
    return loaded;
  } catch (error) {
    throw new UserError(
      `TensorFlow could not be loaded (${messageOf(error).split('\n')[0]}); set it up anew: ${SETUP}`,
      { cause: error },
    );
  }
}

/** Node takes an addon out of memory when the thread that loaded it ends, but TensorFlow's own threads go on. */
function loadForGood(path: string): unknown {
  const RTLD_NODELETE = process.platform === 'linux' ? 0x1000 : 0;
  const module = { exports: {} };
  process.dlopen(module, path, constants.dlopen.RTLD_NOW | RTLD_NODELETE);
  return module.exports;
}

/** TensorFlow's library announces itself on the process's standard error as it is loaded, whatever it is told. */
function loadQuietly({ library, binding }: Setup): void {
  const { load } = require(join(binding, quietFile)) as { load(path: string): string };
  const said = load(join(library, 'libtensorflow_framework.so.2'));
  // What others wrote meanwhile is theirs.
  const others = said
    .split(/(?<=\n)/)
    .filter((line) => !/^(WARNING: All log messages|[IWEF]\d{4} )/.test(line));
  process.stderr.write(others.join(''));
}

/** Functions of Node's util that tfjs-node calls. Node warns of them, and has taken some away since version 23. */
function restoreUtil(): void {
  const isNullOrUndefined = (value: unknown) => value === null || value === undefined;
  Object.assign(util, { isArray: Array.isArray, isNullOrUndefined });
}
