import type { TensorInfo } from '@tensorflow/tfjs';
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

// With u = x / sqrt(2): (1 + erf(u)) / 2 + u exp(-u^2) / sqrt(pi). A pass over the tensor costs as much as the functions,
// so passes are few: HardSigmoid is linear where erf lies, and dividing by exp(u^2) needs no negation.
kernel('GeluSlope', ({ x }, { graph, name }) => {
  const u = graph.emit('Mul', [name(x), graph.scalar(Math.SQRT1_2)]);
  const half = { alpha: { float: 0.5 }, beta: { float: 0.5 } };
  const cdf = graph.emit('HardSigmoid', [graph.emit('Erf', [u])], half);
  const bell = graph.emit('Div', [u, graph.emit('Exp', [graph.emit('Mul', [u, u])])]);
  const density = graph.emit('Mul', [bell, graph.scalar(1 / Math.sqrt(Math.PI))]);
  return tracer.tensor(graph.emit('Add', [cdf, density]), x.shape);
});

kernel<{ slope: number; offset: number }>('HardSigmoid', ({ x }, { graph, attrs, name }) =>
  tracer.tensor(
    graph.emit('HardSigmoid', [name(x)], { alpha: { float: attrs.slope }, beta: { float: attrs.offset } }),
    x.shape,
  ),
);

// softmax(q.k^T).v: onnxruntime goes through it tile by tile in cache, and never holds the weights as a whole.
kernel('SoftmaxAttention', ({ q, k, v }, { graph, name }) => {
  const batched = (t: TensorInfo) => graph.emit('Reshape', [name(t), graph.ints([1, ...t.shape])]);
  const shape = [q.shape[0], v.shape[1]];
  const mixed = graph.emit(
    'MultiHeadAttention',
    [q, k, v].map(batched),
    { num_heads: 1, scale: { float: 1 } },
    'com.microsoft',
  );
  return tracer.tensor(graph.emit('Reshape', [mixed, graph.ints(shape)]), shape);
});
