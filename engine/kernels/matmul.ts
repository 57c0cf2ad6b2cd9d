import type { TensorInfo } from '@tensorflow/tfjs';
import { UserError } from '../../common/errors.ts';
import { modelLine } from '../explain.ts';
import { tf } from '../tf.ts';
import { tracer } from '../tracer.ts';
import { kernel } from './register.ts';

interface MatMulAttrs {
  transposeA: boolean;
  transposeB: boolean;
}

/** a.b over the last two axes; 2-D products are Gemm nodes, which take transposed operands without a copy. */
function product(a: TensorInfo, b: TensorInfo, { transposeA, transposeB }: MatMulAttrs): TensorInfo {
  const { graph } = tracer;
  const rows = a.shape.at(transposeA ? -1 : -2)!;
  const columns = b.shape.at(transposeB ? -2 : -1)!;
  const batch = tf.backend_util.assertAndGetBroadcastShape(a.shape.slice(0, -2), b.shape.slice(0, -2));
  // The first state of a recurrent layer is zero: neither its product nor that product's gradients need computing.
  if (tracer.uniformOf(a) === 0 || tracer.uniformOf(b) === 0)
    return tracer.filled([...batch, rows, columns], 0);
  const names = [tracer.nameOf(a), tracer.nameOf(b)];
  const flags = { transA: transposeA ? 1 : 0, transB: transposeB ? 1 : 0 };
  let value: string;
  if (!transposeA && !transposeB) value = graph.emit('MatMul', names);
  else if (a.shape.length === 2 && b.shape.length === 2) value = graph.emit('Gemm', names, flags);
  else value = graph.emit('FusedMatMul', names, { ...flags, alpha: { float: 1 } }, 'com.microsoft');
  return tracer.tensor(value, [...batch, rows, columns]);
}

kernel<MatMulAttrs>('BatchMatMul', ({ a, b }, { attrs }) => product(a, b, attrs));

const ACTIVATION: Record<string, string | undefined> = {
  linear: '',
  relu: 'Relu',
  sigmoid: 'Sigmoid',
  elu: 'Elu',
};
kernel<MatMulAttrs & { activation?: string }>('_FusedMatMul', ({ a, b, bias }, { graph, attrs, name }) => {
  const activation = ACTIVATION[attrs.activation ?? 'linear'];
  if (activation === undefined)
    throw new UserError(
      `tf.fused.matMul with activation '${attrs.activation}' cannot be compiled${modelLine()}`,
    );
  let result = product(a, b, attrs);
  if (bias) result = tracer.tensor(graph.emit('Add', [name(result), name(bias)]), result.shape);
  return activation ? tracer.tensor(graph.emit(activation, [name(result)]), result.shape) : result;
});

// a.b + c in one node, c [rows, columns] or [columns]: sums accumulate without a pass of their own.
kernel<MatMulAttrs>('GemmAccumulate', ({ a, b, c }, { graph, attrs, name }) => {
  const flags = { transA: attrs.transposeA ? 1 : 0, transB: attrs.transposeB ? 1 : 0 };
  const shape = [a.shape[attrs.transposeA ? 1 : 0], b.shape[attrs.transposeB ? 0 : 1]];
  return tracer.tensor(graph.emit('Gemm', [name(a), name(b), name(c)], flags), shape);
});
