import { ELEMENT_TYPE } from '../onnx.ts';
import { tf } from '../tf.ts';
import { tracer } from '../tracer.ts';
import { axesOf, kernel, onnxType } from './register.ts';

interface ReduceAttrs {
  axis?: number | number[];
  /** tfjs's name of the axes of Max alone. */
  reductionIndices?: number | number[];
  keepDims?: boolean;
}

const REDUCE: Record<string, string> = {
  Sum: 'ReduceSum',
  Mean: 'ReduceMean',
  Max: 'ReduceMax',
  Min: 'ReduceMin',
  Prod: 'ReduceProd',
};
for (const [name, op] of Object.entries(REDUCE)) {
  kernel<ReduceAttrs>(name, ({ x }, k) => {
    const axes = axesOf(k.attrs.axis ?? k.attrs.reductionIndices, x.shape);
    const dtype = name === 'Mean' ? 'float32' : x.dtype === 'bool' ? 'int32' : x.dtype;
    const value = dtype === x.dtype ? k.name(x) : k.graph.emit('Cast', [k.name(x)], { to: onnxType(dtype) });
    if (!axes.length) return tracer.tensor(value, x.shape, dtype);
    const [kept] = tf.backend_util.computeOutAndReduceShapes(x.shape, axes);
    const shape = k.attrs.keepDims ? tf.backend_util.expandShapeToKeepDim(kept, axes) : kept;
    return tracer.tensor(
      k.graph.emit(op, [value, k.graph.ints(axes)], { keepdims: k.attrs.keepDims ? 1 : 0 }),
      shape,
      dtype,
    );
  });
}

for (const name of ['ArgMax', 'ArgMin']) {
  kernel<{ axis: number }>(name, ({ x }, { graph, attrs, name: nameOf }) => {
    const [axis] = axesOf(attrs.axis, x.shape);
    const index = graph.emit(name, [nameOf(x)], { axis, keepdims: 0 });
    return tracer.tensor(
      graph.emit('Cast', [index], { to: ELEMENT_TYPE.int32 }),
      x.shape.filter((_, i) => i !== axis),
      'int32',
    );
  });
}

// Equal elements come in the order of their places.
kernel<{ k: number; sorted: boolean }>('TopK', ({ x }, { graph, attrs, name }) => {
  const [values, indices] = graph.emitMany('TopK', 2, [name(x), graph.ints([attrs.k])], {
    axis: -1,
    sorted: attrs.sorted ? 1 : 0,
  });
  const shape = [...x.shape.slice(0, -1), attrs.k];
  const places = graph.emit('Cast', [indices], { to: ELEMENT_TYPE.int32 });
  return [tracer.tensor(values, shape, x.dtype), tracer.tensor(places, shape, 'int32')];
});

kernel<{ dim: number }>('Softmax', ({ logits }, { graph, attrs, name }) =>
  tracer.tensor(
    graph.emit('Softmax', [name(logits)], { axis: axesOf(attrs.dim, logits.shape)[0] }),
    logits.shape,
  ),
);
kernel<{ axis: number; exclusive: boolean; reverse: boolean }>('Cumsum', ({ x }, { graph, attrs, name }) => {
  const flags = { exclusive: attrs.exclusive ? 1 : 0, reverse: attrs.reverse ? 1 : 0 };
  return tracer.tensor(
    graph.emit('CumSum', [name(x), graph.ints(axesOf(attrs.axis, x.shape))], flags),
    x.shape,
    x.dtype,
  );
});
