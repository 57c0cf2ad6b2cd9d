import type { TensorInfo } from '@tensorflow/tfjs';
import { UserError } from '../../common/errors.ts';
import { modelLine } from '../explain.ts';
import type { ElementType, Graph } from '../graph.ts';
import { ELEMENT_TYPE } from '../onnx.ts';
import { tf } from '../tf.ts';
import { TRACER, tracer } from '../tracer.ts';

/** What a tracing kernel works with: the graph, and the graph's names of its input tensors. */
export interface KernelCall<A> {
  graph: Graph;
  attrs: A;
  name(t: TensorInfo): string;
}

type Inputs = Record<string, TensorInfo>;

/** Registers the ONNX form of a tfjs kernel. `A` are the kernel's attributes. */
export function kernel<A = unknown>(
  kernelName: string,
  build: (inputs: Inputs, call: KernelCall<A>) => TensorInfo | TensorInfo[],
): void {
  tf.registerKernel({
    kernelName,
    backendName: TRACER,
    kernelFunc: ({ inputs, attrs }) => {
      if (!tf.getGradient(kernelName)) tracer.visit(kernelName);
      return build(inputs as Inputs, {
        graph: tracer.graph,
        attrs: (attrs ?? {}) as A,
        name: (t) => tracer.nameOf(t),
      });
    },
  });
}

/** Kernels that take a list of tensors get it as an array or as numbered properties. */
export const listOf = (inputs: Inputs): TensorInfo[] =>
  Array.isArray(inputs) ? inputs : Object.values(inputs);

/** `axis` (negative from the end, one or several or none for all) as a list of positive axes. */
export const axesOf = (axis: number | number[] | undefined, shape: readonly number[]): number[] =>
  tf.util.parseAxisParam(axis as number[], [...shape]);

/** ONNX's number for a type of tfjs's. @throws UserError for those that devices do not compute with: complex64, string */
export function onnxType(dtype: string): number {
  if (!Object.hasOwn(ELEMENT_TYPE, dtype))
    throw new UserError(
      `tensors of type ${dtype} cannot be compiled${modelLine()}; use one of [float32, int32, bool]`,
    );
  return ELEMENT_TYPE[dtype as ElementType];
}
