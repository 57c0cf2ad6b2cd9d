import { createRequire } from 'node:module';
import { messageOf } from '../common/errors.ts';
import { packageManifest } from '../common/package.ts';
import type { Finding } from './finding.ts';

const require = createRequire(import.meta.url);

/** Libraries with native parts, or large ones: those that an installation can have got wrong. */
const REQUIRED = ['@tensorflow/tfjs', 'onnxruntime-node', '@duckdb/node-api', '@huggingface/tokenizers'];
/** What is used where it is there. */
const OPTIONAL: Record<string, { use: string; add: string }> = {
  '@tensorflow/tfjs-node-gpu': {
    use: "TensorFlow's JavaScript side, for --device tensorflow",
    add: 'npm install --include=optional, then: rec setup tensorflow --install',
  },
  usearch: { use: 'approximate search (dense.search=usearch)', add: 'npm install usearch --ignore-scripts' },
};

export async function examineLibraries(): Promise<Finding[]> {
  const { version, dependencies } = packageManifest();
  const required = REQUIRED.map((name) => examineRequired(name, dependencies[name]));
  return [
    { what: 'rec', status: 'ok', found: version },
    ...(await Promise.all(required)),
    ...Object.keys(OPTIONAL).map(examineOptional),
  ];
}

async function examineRequired(name: string, wanted: string): Promise<Finding> {
  try {
    await import(name);
  } catch (error) {
    return { what: name, status: 'problem', found: `does not load: ${messageOf(error)}`, remedy: 'npm ci' };
  }
  const version = versionOf(name);
  return version === wanted
    ? { what: name, status: 'ok', found: wanted }
    : { what: name, status: 'note', found: `${version}, where ${wanted} was meant`, remedy: 'npm ci' };
}

function examineOptional(name: string): Finding {
  const { use, add } = OPTIONAL[name];
  const version = versionOf(name);
  return version
    ? { what: name, status: 'ok', found: `${version}: ${use}` }
    : { what: name, status: 'note', found: `not installed: ${use}`, remedy: add };
}

/** The version that is installed; undefined where none is. */
function versionOf(name: string): string | undefined {
  for (const folder of require.resolve.paths(name) ?? []) {
    try {
      return (require(`${folder}/${name}/package.json`) as { version: string }).version;
    } catch {}
  }
  return undefined;
}
