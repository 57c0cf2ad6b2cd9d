import type { TensorInfo } from '@tensorflow/tfjs';
import type { DType } from '../graph.ts';
import { ELEMENT_TYPE } from '../onnx.ts';
import { tf } from '../tf.ts';
import { tracer } from '../tracer.ts';
import { kernel, listOf, onnxType } from './register.ts';

const broadcast = (a: TensorInfo, b: TensorInfo) =>
  tf.backend_util.assertAndGetBroadcastShape(a.shape, b.shape);
const sameShape = (t: TensorInfo, shape: readonly number[]) => tf.util.arraysEqual(t.shape, [...shape]);

const UNARY: Record<string, string> = {
  Abs: 'Abs',
  Ceil: 'Ceil',
  Cos: 'Cos',
  Erf: 'Erf',
  Exp: 'Exp',
  Floor: 'Floor',
  Log: 'Log',
  LogicalNot: 'Not',
  Neg: 'Neg',
  Reciprocal: 'Reciprocal',
  Relu: 'Relu',
  Round: 'Round',
  Sigmoid: 'Sigmoid',
  Sign: 'Sign',
  Sin: 'Sin',
  Softplus: 'Softplus',
  Sqrt: 'Sqrt',
  Tanh: 'Tanh',
};
for (const [name, op] of Object.entries(UNARY)) {
  kernel(name, ({ x }, k) => tracer.tensor(k.graph.emit(op, [k.name(x)]), x.shape, x.dtype));
}

kernel('Square', ({ x }, k) => tracer.tensor(k.graph.emit('Mul', [k.name(x), k.name(x)]), x.shape, x.dtype));
kernel('Rsqrt', ({ x }, { graph, name }) =>
  tracer.tensor(graph.emit('Reciprocal', [graph.emit('Sqrt', [name(x)])]), x.shape),
);
kernel('Log1p', ({ x }, { graph, name }) =>
  tracer.tensor(graph.emit('Log', [graph.emit('Add', [name(x), graph.scalar(1)])]), x.shape),
);
kernel('Expm1', ({ x }, { graph, name }) =>
  tracer.tensor(graph.emit('Sub', [graph.emit('Exp', [name(x)]), graph.scalar(1)]), x.shape),
);
kernel<{ alpha: number }>('Step', ({ x }, { graph, attrs, name }) => {
  const positive = graph.emit('Greater', [name(x), graph.scalar(0)]);
  const step = attrs.alpha
    ? graph.emit('Where', [positive, graph.scalar(1), graph.scalar(attrs.alpha)])
    : graph.emit('Cast', [positive], { to: ELEMENT_TYPE.float32 });
  return tracer.tensor(step, x.shape);
});
kernel<{ alpha: number }>('LeakyRelu', ({ x }, { graph, attrs, name }) =>
  tracer.tensor(graph.emit('LeakyRelu', [name(x)], { alpha: { float: attrs.alpha } }), x.shape),
);
kernel<{ clipValueMin: number; clipValueMax: number }>('ClipByValue', ({ x }, { graph, attrs, name }) =>
  tracer.tensor(
    graph.emit('Clip', [
      name(x),
      graph.scalar(attrs.clipValueMin, x.dtype as DType),
      graph.scalar(attrs.clipValueMax, x.dtype as DType),
    ]),
    x.shape,
    x.dtype,
  ),
);
kernel<{ dtype: string }>('Cast', ({ x }, { graph, attrs, name }) =>
  x.dtype === attrs.dtype
    ? tracer.tensor(name(x), x.shape, x.dtype)
    : tracer.tensor(graph.emit('Cast', [name(x)], { to: onnxType(attrs.dtype) }), x.shape, attrs.dtype),
);
// tfjs clones what a gradient will need: the clone is the same value, and what is known of it stays known.
kernel('Identity', ({ x }) => tracer.alias(x));

const FOLD: Record<string, (x: number, y: number) => number> = {
  Add: (x, y) => x + y,
  Sub: (x, y) => x - y,
  Multiply: (x, y) => x * y,
  RealDiv: (x, y) => x / y,
};

/**
 * What arithmetic on uniform tensors comes to without a node. Most of it descends from the initial gradient of ones:
 * left in, it costs passes over tables.
 */
function simplify(op: string, a: TensorInfo, b: TensorInfo, shape: number[]): TensorInfo | undefined {
  const ua = tracer.uniformOf(a);
  const ub = tracer.uniformOf(b);
  if (a.dtype === 'float32' && ua !== undefined && ub !== undefined && FOLD[op]) {
    return tracer.filled(shape, Math.fround(FOLD[op](ua, ub)));
  }
  const keep = (t: TensorInfo) => tracer.tensor(tracer.nameOf(t), shape, t.dtype);
  if (sameShape(a, shape)) {
    if (ub === 1 && (op === 'Multiply' || op === 'RealDiv')) return keep(a);
    if (ub === 0 && (op === 'Add' || op === 'Sub')) return keep(a);
  }
  if (sameShape(b, shape)) {
    if (ua === 1 && op === 'Multiply') return keep(b);
    if (ua === 0 && op === 'Add') return keep(b);
  }
  return undefined;
}

/** `x + scatter(zeros, u)` becomes `scatter(x, u)`: saves a zero fill and a pass over the table. */
function addScattered(x: TensorInfo, scattered: TensorInfo): TensorInfo | undefined {
  const parts = tracer.scatteredOf(scattered);
  if (!parts || !sameShape(scattered, x.shape)) return undefined;
  const sum = tracer.graph.emit('ScatterElements', [tracer.nameOf(x), parts.indices, parts.updates], {
    axis: 0,
    reduction: 'add',
  });
  return tracer.tensor(sum, x.shape);
}

/** The operands' names. A uniform one is fed as a scalar where the other has the result's shape: ONNX broadcasts it. */
function operands(a: TensorInfo, b: TensorInfo, shape: readonly number[]): [string, string] {
  const scalar = (t: TensorInfo) => tracer.graph.scalar(tracer.uniformOf(t)!, t.dtype as DType);
  if (tracer.uniformOf(b) !== undefined && sameShape(a, shape)) return [tracer.nameOf(a), scalar(b)];
  if (tracer.uniformOf(a) !== undefined && sameShape(b, shape)) return [scalar(a), tracer.nameOf(b)];
  return [tracer.nameOf(a), tracer.nameOf(b)];
}

const BINARY: [name: string, op: string, result?: 'bool'][] = [
  ['Add', 'Add'],
  ['Sub', 'Sub'],
  ['Multiply', 'Mul'],
  ['RealDiv', 'Div'],
  ['Maximum', 'Max'],
  ['Minimum', 'Min'],
  ['Pow', 'Pow'],
  ['Greater', 'Greater', 'bool'],
  ['GreaterEqual', 'GreaterOrEqual', 'bool'],
  ['Less', 'Less', 'bool'],
  ['LessEqual', 'LessOrEqual', 'bool'],
  ['Equal', 'Equal', 'bool'],
  ['LogicalAnd', 'And', 'bool'],
  ['LogicalOr', 'Or', 'bool'],
];
for (const [name, op, result] of BINARY) {
  kernel(name, ({ a, b }, k) => {
    const shape = broadcast(a, b);
    const simple = result ? undefined : simplify(name, a, b, shape);
    if (simple) return simple;
    const scatter = name === 'Add' ? (addScattered(a, b) ?? addScattered(b, a)) : undefined;
    if (scatter) return scatter;
    return tracer.tensor(k.graph.emit(op, operands(a, b, shape)), shape, result ?? a.dtype);
  });
}
kernel('FloorDiv', ({ a, b }, { graph, name }) => {
  const [x, y] = [name(a), name(b)];
  // ONNX divides integers towards zero; without the remainder (which has the divisor's sign) nothing is left to round.
  const quotient =
    a.dtype === 'int32'
      ? graph.emit('Div', [graph.emit('Sub', [x, graph.emit('Mod', [x, y])]), y])
      : graph.emit('Cast', [graph.emit('Floor', [graph.emit('Div', [x, y])])], { to: ELEMENT_TYPE.int32 });
  return tracer.tensor(quotient, broadcast(a, b), 'int32');
});
kernel('NotEqual', ({ a, b }, { graph, name }) =>
  tracer.tensor(graph.emit('Not', [graph.emit('Equal', [name(a), name(b)])]), broadcast(a, b), 'bool'),
);
kernel('SquaredDifference', ({ a, b }, { graph, name }) => {
  const difference = graph.emit('Sub', [name(a), name(b)]);
  return tracer.tensor(graph.emit('Mul', [difference, difference]), broadcast(a, b), a.dtype);
});
kernel('AddN', (inputs, { graph, name }) => {
  const terms = listOf(inputs);
  const scattered = terms.filter((t) => tracer.scatteredOf(t));
  const plain = terms.filter((t) => !scattered.includes(t));
  if (!plain.length) plain.push(scattered.shift()!);
  // ONNX's Sum knows no integers.
  const total = plain.map(name).reduce((a, b) => graph.emit('Add', [a, b]));
  let sum = tracer.tensor(total, terms[0].shape, terms[0].dtype);
  for (const t of scattered) sum = addScattered(sum, t)!;
  return sum;
});
kernel('Select', ({ condition, t, e }, { graph, name }) => {
  const [c, x, y] = [name(condition), name(t), name(e)];
  // onnxruntime has no Where over booleans.
  const chosen =
    t.dtype === 'bool'
      ? graph.emit('Or', [graph.emit('And', [c, x]), graph.emit('And', [graph.emit('Not', [c]), y])])
      : graph.emit('Where', [c, x, y]);
  return tracer.tensor(chosen, t.shape, t.dtype);
});
kernel<{ shape: number[]; value: number; dtype?: string }>('Fill', (_, { attrs }) =>
  tracer.filled(attrs.shape, +attrs.value, attrs.dtype ?? 'float32'),
);
kernel<{ start: number; stop: number; step: number; dtype: string }>('Range', (_, { graph, attrs }) => {
  const { start, stop, dtype } = attrs;
  // tfjs counts downwards by itself where no step was given.
  const step = stop < start && attrs.step === 1 ? -1 : attrs.step;
  const length = Math.max(0, Math.ceil((stop - start) / step));
  const values = Array.from({ length }, (_, i) => start + i * step);
  const data = dtype === 'int32' ? Int32Array.from(values) : Float32Array.from(values);
  return tracer.tensor(graph.constant(dtype as DType, [length], data), [length], dtype);
});
kernel('ZerosLike', ({ x }) => tracer.filled(x.shape, 0, x.dtype));
kernel('OnesLike', ({ x }) => tracer.filled(x.shape, 1, x.dtype));
