import { UserError } from '../../common/errors.ts';
import { tracer } from '../tracer.ts';
import { axesOf, kernel } from './register.ts';

kernel<{ axis: number; batchDims: number }>('GatherV2', ({ x, indices }, { graph, attrs, name }) => {
  if (attrs.batchDims)
    throw new UserError("operation 'tf.gather' with batchDims cannot be compiled; flatten to one axis first");
  const [axis] = axesOf(attrs.axis, x.shape);
  const shape = [...x.shape.slice(0, axis), ...indices.shape, ...x.shape.slice(axis + 1)];
  return tracer.tensor(graph.emit('Gather', [name(x), name(indices)], { axis }), shape, x.dtype);
});

kernel<{ axis: number }>('GatherElements', ({ x, indices }, { graph, attrs, name }) =>
  tracer.tensor(
    graph.emit('GatherElements', [name(x), name(indices)], { axis: attrs.axis }),
    indices.shape,
    x.dtype,
  ),
);

// ScatterElements, never ScatterND: onnxruntime's CPU ScatterND(reduction=add) races on repeated indices.
kernel<{ numSegments: number }>('UnsortedSegmentSum', ({ x, segmentIds }, { graph, attrs, name }) => {
  const shape = [attrs.numSegments, ...x.shape.slice(1)];
  const column = graph.emit('Reshape', [
    name(segmentIds),
    graph.ints([x.shape[0], ...x.shape.slice(1).map(() => 1)]),
  ]);
  const indices = graph.emit('Expand', [column, graph.ints(x.shape)]);
  const sum = graph.emit('ScatterElements', [graph.filled(shape, 0, 'float32'), indices, name(x)], {
    axis: 0,
    reduction: 'add',
  });
  return tracer.scattered(sum, shape, indices, name(x));
});

kernel<{ depth: number; onValue: number; offValue: number; dtype?: string }>(
  'OneHot',
  ({ indices }, { graph, attrs, name }) => {
    const dtype = attrs.dtype === 'int32' ? 'int32' : 'float32';
    const values =
      dtype === 'int32'
        ? Int32Array.of(attrs.offValue, attrs.onValue)
        : Float32Array.of(attrs.offValue, attrs.onValue);
    const depth = graph.constant('int64', [], BigInt64Array.of(BigInt(attrs.depth)));
    const oneHot = graph.emit('OneHot', [name(indices), depth, graph.constant(dtype, [2], values)], {
      axis: -1,
    });
    return tracer.tensor(oneHot, [...indices.shape, attrs.depth], dtype);
  },
);
