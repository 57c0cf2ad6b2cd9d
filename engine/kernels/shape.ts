import type { TensorInfo } from '@tensorflow/tfjs';
import type { Graph } from '../graph.ts';
import { tf } from '../tf.ts';
import { tracer } from '../tracer.ts';
import { axesOf, kernel, listOf } from './register.ts';

function reshape(x: TensorInfo, shape: number[]): TensorInfo {
  const uniform = tracer.uniformOf(x);
  if (uniform !== undefined) return tracer.filled(shape, uniform, x.dtype);
  if (tf.util.arraysEqual(shape, x.shape)) return tracer.alias(x);
  const { graph } = tracer;
  return tracer.tensor(graph.emit('Reshape', [tracer.nameOf(x), graph.ints(shape)]), shape, x.dtype);
}

kernel<{ shape: number[] }>('Reshape', ({ x }, { attrs }) =>
  reshape(x, tf.util.inferFromImplicitShape(attrs.shape, tf.util.sizeFromShape(x.shape))),
);
kernel<{ dim: number }>('ExpandDims', ({ input }, { attrs }) => {
  const shape = [...input.shape];
  shape.splice(attrs.dim < 0 ? shape.length + attrs.dim + 1 : attrs.dim, 0, 1);
  return reshape(input, shape);
});
kernel<{ perm: number[] }>('Transpose', ({ x }, { graph, attrs, name }) => {
  const shape = attrs.perm.map((p) => x.shape[p]);
  // Moving axes of length one moves no data.
  const moved = attrs.perm.filter((p) => x.shape[p] !== 1);
  if (moved.every((p, i) => i === 0 || p > moved[i - 1])) return reshape(x, shape);
  return tracer.tensor(graph.emit('Transpose', [name(x)], { perm: [...attrs.perm] }), shape, x.dtype);
});

kernel<{ begin: number[]; size: number[] }>('Slice', ({ x }, { graph, attrs, name }) => {
  const [begin, size] = tf.slice_util.parseSliceParams(x as tf.Tensor, attrs.begin, attrs.size);
  const axes = begin.map((_, i) => i).filter((i) => begin[i] !== 0 || size[i] !== x.shape[i]);
  if (!axes.length) return tracer.tensor(name(x), x.shape, x.dtype);
  const at = (values: number[]) => graph.ints(axes.map((i) => values[i]));
  const ends = begin.map((b, i) => b + size[i]);
  return tracer.tensor(graph.emit('Slice', [name(x), at(begin), at(ends), graph.ints(axes)]), size, x.dtype);
});

interface StridedSliceAttrs {
  begin: number[];
  end: number[];
  strides: number[];
  beginMask: number;
  endMask: number;
  ellipsisMask: number;
  newAxisMask: number;
  shrinkAxisMask: number;
}
kernel<StridedSliceAttrs>('StridedSlice', ({ x }, { graph, attrs: a, name }) => {
  const s = tf.slice_util.sliceInfo(
    x.shape,
    a.begin,
    a.end,
    a.strides,
    a.beginMask,
    a.endMask,
    a.ellipsisMask,
    a.newAxisMask,
    a.shrinkAxisMask,
  );
  const axes = s.begin.map((_, i) => i);
  // Going backwards, tfjs's -1 is the place before the first element; ONNX counts negative places from the end.
  const ends = s.end.map((end, i) => (s.strides[i] < 0 && end < 0 ? -x.shape[i] - 1 : end));
  const inputs = [name(x), graph.ints(s.begin), graph.ints(ends), graph.ints(axes), graph.ints(s.strides)];
  return tracer.tensor(
    graph.emit('Reshape', [graph.emit('Slice', inputs), graph.ints(s.finalShape)]),
    s.finalShape,
    x.dtype,
  );
});

kernel<{ axis: number }>('Concat', (inputs, { graph, attrs, name }) => {
  const parts = listOf(inputs);
  const [axis] = axesOf(attrs.axis, parts[0].shape);
  const shape = tf.backend_util.computeOutShape(
    parts.map((t) => t.shape),
    axis,
  );
  const filled = parts.filter((t) => t.shape[axis] > 0);
  return tracer.tensor(
    filled.length < 2 ? name(filled[0] ?? parts[0]) : graph.emit('Concat', filled.map(name), { axis }),
    shape,
    parts[0].dtype,
  );
});
kernel<{ axis: number }>('Pack', (inputs, { graph, attrs, name }) => {
  const parts = listOf(inputs);
  const axis = attrs.axis < 0 ? attrs.axis + parts[0].shape.length + 1 : attrs.axis;
  const shape = [...parts[0].shape];
  shape.splice(axis, 0, parts.length);
  const wide = parts.map((t) => graph.emit('Unsqueeze', [name(t), graph.ints([axis])]));
  return tracer.tensor(graph.emit('Concat', wide, { axis }), shape, parts[0].dtype);
});

function split(graph: Graph, name: string, sizes: number[], axis: number): string[] {
  return sizes.length === 1
    ? [name]
    : graph.emitMany('Split', sizes.length, [name, graph.ints(sizes)], { axis });
}
kernel<{ axis: number }>('Unpack', ({ value }, { graph, attrs, name }) => {
  const [axis] = axesOf(attrs.axis, value.shape);
  const shape = value.shape.filter((_, i) => i !== axis);
  const parts = split(graph, name(value), new Array(value.shape[axis]).fill(1), axis);
  return parts.map((part) =>
    tracer.tensor(graph.emit('Squeeze', [part, graph.ints([axis])]), shape, value.dtype),
  );
});
kernel<{ numOrSizeSplits: number | number[]; axis: number }>('SplitV', ({ x }, { graph, attrs, name }) => {
  const [axis] = axesOf(attrs.axis, x.shape);
  const sizes = tf.backend_util.prepareSplitSize(x as tf.Tensor, attrs.numOrSizeSplits, axis);
  return split(graph, name(x), sizes, axis).map((part, i) => {
    const shape = [...x.shape];
    shape[axis] = sizes[i];
    return tracer.tensor(part, shape, x.dtype);
  });
});

kernel<{ reps: number[] }>('Tile', ({ x }, { graph, attrs, name }) => {
  const shape = x.shape.map((d, i) => d * attrs.reps[i]);
  const uniform = tracer.uniformOf(x);
  if (uniform !== undefined) return tracer.filled(shape, uniform, x.dtype);
  if (attrs.reps.every((r) => r === 1)) return tracer.tensor(name(x), shape, x.dtype);
  return tracer.tensor(graph.emit('Tile', [name(x), graph.ints(attrs.reps)]), shape, x.dtype);
});
kernel<{ paddings: [number, number][]; constantValue: number }>('PadV2', ({ x }, { graph, attrs, name }) => {
  const { paddings } = attrs;
  const pads = graph.ints([...paddings.map((p) => p[0]), ...paddings.map((p) => p[1])]);
  const shape = x.shape.map((d, i) => d + paddings[i][0] + paddings[i][1]);
  return tracer.tensor(
    graph.emit('Pad', [name(x), pads, graph.scalar(attrs.constantValue, x.dtype as 'float32')]),
    shape,
    x.dtype,
  );
});
kernel<{ dims: number | number[] }>('Reverse', ({ x }, { graph, attrs, name }) => {
  const axes = axesOf(attrs.dims, x.shape);
  const inputs = [axes.map(() => -1), axes.map((a) => -x.shape[a] - 1), axes, axes.map(() => -1)];
  return tracer.tensor(graph.emit('Slice', [name(x), ...inputs.map((v) => graph.ints(v))]), x.shape, x.dtype);
});
