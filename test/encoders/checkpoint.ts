import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { seeded } from '../../common/random.ts';
import { type Tensor, writeSafetensors } from '../../common/safetensors.ts';
import { readRobertaConfig } from '../../encoders/roberta-files.ts';
import { robertaShapes } from '../../encoders/roberta-model.ts';

export const settings = {
  model_type: 'roberta',
  hidden_size: 8,
  num_hidden_layers: 2,
  num_attention_heads: 2,
  intermediate_size: 12,
  vocab_size: 9,
  max_position_embeddings: 14,
  type_vocab_size: 1,
  pad_token_id: 1,
  layer_norm_eps: 1e-5,
};
export const letters = { '<s>': 0, '<pad>': 1, '</s>': 2, '<unk>': 3, a: 4, b: 5, ab: 6, Ġ: 7, '<mask>': 8 };

export interface Twist {
  /** The architecture of the weights. */
  model?: Partial<typeof settings>;
  /** Another one, which config.json claims. */
  config?: object;
  prefix?: string;
  change?: (tensors: Map<string, Tensor>) => void;
  vocab?: object;
}

/** A folder with a small random model in Hugging Face's files. */
export async function checkpoint(
  path: string,
  { model = {}, config = {}, prefix = '', change, vocab = letters }: Twist = {},
): Promise<string> {
  await mkdir(path, { recursive: true });
  await writeFile(join(path, 'config.json'), JSON.stringify({ ...settings, ...model }));
  const random = seeded('checkpoint');
  const tensors = new Map<string, Tensor>();
  for (const [name, shape] of robertaShapes(await readRobertaConfig(path))) {
    const data = Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => 0.3 * random.normal());
    tensors.set(prefix + name, { dtype: 'F32', shape, data });
  }
  const width = { ...settings, ...model }.hidden_size;
  tensors.set(`${prefix}pooler.dense.bias`, { dtype: 'F32', shape: [width], data: new Float32Array(width) });
  change?.(tensors);
  await writeSafetensors(join(path, 'model.safetensors'), tensors, { format: 'pt' });
  await writeFile(join(path, 'config.json'), JSON.stringify({ ...settings, ...model, ...config }));
  await writeFile(join(path, 'vocab.json'), JSON.stringify(vocab));
  await writeFile(join(path, 'merges.txt'), '#version: 0.2\na b\n');
  return path;
}
