import type { RandomInput } from '../graph.ts';
import { tracer } from '../tracer.ts';
import { kernel } from './register.ts';

// Kernels of our own ops (ops.ts); their eager forms are in eager.ts.

kernel<Pick<RandomInput, 'kind' | 'shape' | 'rate'>>('RandomInput', (_, { graph, attrs }) =>
  tracer.tensor(graph.randomInput(attrs.kind, attrs.shape, attrs.rate), attrs.shape),
);

kernel<{ epsilon: number }>('LayerNorm', ({ x, scale, offset }, { graph, attrs, name }) => {
  const inputs = [name(x), name(scale), name(offset)];
  const [y, mean, inverse] = graph.emitMany('LayerNormalization', 3, inputs, {
    axis: -1,
    epsilon: { float: attrs.epsilon },
  });
  const reduced = [...x.shape.slice(0, -1), 1];
  return [tracer.tensor(y, x.shape), tracer.tensor(mean, reduced), tracer.tensor(inverse, reduced)];
});

kernel('Gelu', ({ x }, { graph, name }) => tracer.tensor(graph.emit('Gelu', [name(x)]), x.shape));
