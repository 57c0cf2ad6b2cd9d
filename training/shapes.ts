import { UserError } from '../common/errors.ts';
import { tf } from '../engine/index.ts';
import type { Recommender } from '../models/index.ts';

/** The model, with what its functions return held to the shapes of the contract. @throws UserError where one differs */
export function checkedShapes(model: Recommender): Recommender {
  for (const part of ['items', 'sequence'] as const)
    if (typeof model?.[part] !== 'function')
      throw new UserError(`build() returned no ${part}(); it must return { items, sequence }`);
  return {
    ...model,
    items(items, mode) {
      const vectors = requireTensor('items()', model.items(items, mode));
      const { rank, shape } = vectors;
      if (rank !== 2 || shape[0] !== items.count)
        throw new UserError(
          `items() returned ${shown(shape)} for ${items.count} items; it must return [count, d], a vector an item`,
        );
      return vectors;
    },
    sequence(history, mode) {
      const { batch, length, last } = history;
      const d = history.vectors.shape[2];
      const vectors = requireTensor('sequence()', model.sequence(history, mode));
      const allowed = [[batch, length, d], ...(last ? [[batch, 1, d]] : [])];
      if (!allowed.some((wanted) => shown(wanted) === shown(vectors.shape)))
        throw new UserError(
          `sequence() returned ${shown(vectors.shape)} where [batch, length, d] = ${shown(allowed[0])} was expected: ` +
            'a vector after every position, as wide as those of items()',
        );
      return vectors;
    },
    ...(model.loss && {
      loss(batch, mode) {
        const loss = requireTensor('loss()', model.loss!(batch, mode));
        if (loss.rank)
          throw new UserError(
            `loss() returned ${shown(loss.shape)}; it must return one number, a mean over rows`,
          );
        return loss;
      },
    }),
  };
}

const shown = (shape: readonly number[]) => `[${shape.join(', ')}]`;

function requireTensor<T extends tf.Tensor>(part: string, value: T): T {
  if (value instanceof tf.Tensor) return value;
  throw new UserError(`${part} returned no tensor but ${value === null ? 'null' : `a ${typeof value}`}`);
}
