import { UserError } from '../../common/errors.ts';
import { modelLine } from '../explain.ts';
import type { DType } from '../graph.ts';
import { ELEMENT_TYPE } from '../onnx.ts';
import { tracer } from '../tracer.ts';
import { axesOf, kernel } from './register.ts';

kernel<{ axis: number; batchDims: number }>('GatherV2', ({ x, indices }, { graph, attrs, name }) => {
  if (attrs.batchDims)
    throw new UserError(
      `operation 'tf.gather' with batchDims cannot be compiled${modelLine()}; flatten to one axis first`,
    );
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
  // tfjs sums integers to float32 here.
  const updates =
    x.dtype === 'float32' ? name(x) : graph.emit('Cast', [name(x)], { to: ELEMENT_TYPE.float32 });
  const zeros = graph.filled(shape, 0, 'float32');
  const sum = graph.emit('ScatterElements', [zeros, indices, updates], { axis: 0, reduction: 'add' });
  return tracer.scattered(sum, shape, indices, updates);
});

// Not ONNX's OneHot: onnxruntime has it for 64-bit indices only, and it counts negative ones from the end.
kernel<{ depth: number; onValue: number; offValue: number; dtype: string }>(
  'OneHot',
  ({ indices }, { graph, attrs, name }) => {
    const dtype = attrs.dtype as DType;
    const column = graph.emit('Reshape', [name(indices), graph.ints([...indices.shape, 1])]);
    const classes = graph.constant(
      'int32',
      [attrs.depth],
      Int32Array.from({ length: attrs.depth }, (_, i) => i),
    );
    const hit = graph.emit('Equal', [column, classes]);
    const shape = [...indices.shape, attrs.depth];
    const type = dtype === 'bool' ? 'int32' : dtype;
    const chosen = graph.emit('Where', [
      hit,
      graph.scalar(attrs.onValue, type),
      graph.scalar(attrs.offValue, type),
    ]);
    const value = dtype === 'bool' ? graph.emit('Cast', [chosen], { to: ELEMENT_TYPE.bool }) : chosen;
    return tracer.tensor(value, shape, dtype);
  },
);
