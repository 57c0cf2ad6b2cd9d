import { seeded } from '../../../common/random.ts';
import type { Heads } from '../../../encoders/pretraining/heads.ts';
import type { Objective } from '../../../encoders/pretraining/step.ts';
import type { RobertaConfig } from '../../../encoders/roberta-model.ts';

/** A RoBERTa that is small enough to be computed in every way, without dropout. */
export const small: RobertaConfig = {
  layers: 2,
  heads: 2,
  hiddenSize: 8,
  innerSize: 16,
  vocabSize: 60,
  maxPositions: 40,
  tokenTypes: 1,
  padId: 1,
  epsilon: 1e-5,
  hiddenDropout: 0,
  attentionDropout: 0,
};
const V = small.vocabSize;

export const vocabulary = { size: V, maskId: V - 1, special: new Set([0, 1, 2]) };
export const objective: Objective = {
  contrastive: true,
  temperature: 0.05,
  mlmWeight: 0.1,
  mlmProbability: 0.15,
};
export const heads: Heads = { pooling: 'cls', pooler: 'tanh', lm: true };

/** Texts of 4 to 35 tokens. */
export function texts(count: number, seed: number): number[][] {
  const random = seeded('texts', seed);
  const token = () => 4 + random.below(V - 5);
  return Array.from({ length: count }, () => [0, ...Array.from({ length: 2 + random.below(32) }, token), 2]);
}
