// What a plugin imports from 'rec': how models, encoders and datasets are declared, and what they are built of.
export { z } from 'zod';
export { UserError } from './common/errors.ts';
export { hashJson } from './common/files.ts';
export type { Progress } from './common/progress.ts';
export { type Random, seeded } from './common/random.ts';
export type { Texts } from './common/texts.ts';
export { type DatasetDefinition, defineDataset, type Interaction } from './data/index.ts';
export {
  defineEncoder,
  type EncoderContext,
  type EncoderDefinition,
  type TextEncoder,
} from './encoders/index.ts';
export {
  dropout,
  gelu,
  gru,
  hardSigmoid,
  type Initializer,
  l2Normalize,
  layerNorm,
  linear,
  noise,
  normal,
  ones,
  Parameters,
  tf,
  uniform,
  xavierNormal,
  xavierUniform,
  zeros,
} from './engine/index.ts';
export { type AttentionConfig, attention } from './models/attention.ts';
export {
  type BaselineDefinition,
  type BuildContext,
  type CountedRecommender,
  defineBaseline,
  defineModel,
  type History,
  type Items,
  type LossBatch,
  type Mode,
  type ModelDefinition,
  type Recommender,
  type TrainingRows,
} from './models/index.ts';
export { dense, embedding, norm, type TransformerConfig, transformer } from './models/layers.ts';
export { headsDivide, rate, transformerSettings } from './models/settings.ts';
