import { messageOf, UserError } from '../common/errors.ts';
import { Graph } from './graph.ts';
import { ELEMENT_TYPE, encodeOnnx } from './onnx.ts';
import { createSession } from './session.ts';

/** Neighbouring items are looked at together: what leaves a run are the scores of groups. */
export const GROUP = 16;

/** Sizes that a product is compiled for. */
export interface ProductShape {
  queries: number;
  /** A multiple of GROUP. */
  items: number;
  dims: number;
}

/** Groups with a score above their row's threshold. */
export interface Groups {
  /** [n] row * (items / GROUP) + group, ascending. */
  places: Int32Array;
  /** [n * GROUP] */
  scores: Float32Array;
}

/** All dot products of queries and items, of which only those leave that may matter. */
export interface ThresholdProduct {
  readonly shape: ProductShape;
  /**
   * @param queries [queries, dims]
   * @param items [items, dims]
   * @param thresholds [queries] a row's groups of items without a score above it are left out
   */
  run(queries: Float32Array, items: Float32Array, thresholds: Float32Array): Promise<Groups>;
  close(): Promise<void>;
}

/**
 * Compiles a product with thresholds. Copying every score out of onnxruntime and looking at it costs nearly as much as the
 * product of 768-wide vectors; a maximum over groups inside the graph costs a twentieth.
 */
export async function compileThresholdProduct(
  shape: ProductShape,
  threads: number,
): Promise<ThresholdProduct> {
  const ort = await import('onnxruntime-node');
  const { queries: rows, items, dims } = shape;
  const session = await createSession(encodeOnnx(graphOf(shape)), true, { threads });
  const tensor = (data: Float32Array, dims: number[]) => new ort.Tensor('float32', data, dims);
  return {
    shape,
    async run(queries, block, thresholds) {
      const feeds = {
        queries: tensor(queries, [rows, dims]),
        items: tensor(block, [items, dims]),
        thresholds: tensor(thresholds, [rows, 1]),
      };
      const { places, scores } = await session.run(feeds).catch((error) => {
        throw new UserError(`a product of vectors failed: ${messageOf(error)}`, { cause: error });
      });
      return { places: places.data as Int32Array, scores: scores.data as Float32Array };
    },
    close: () => session.release(),
  };
}

function graphOf({ queries: rows, items, dims }: ProductShape): Graph {
  const groups = items / GROUP;
  const graph = new Graph();
  graph.input('queries', { dtype: 'float32', shape: [rows, dims] });
  graph.input('items', { dtype: 'float32', shape: [items, dims] });
  graph.input('thresholds', { dtype: 'float32', shape: [rows, 1] });
  const scores = graph.emit('Gemm', ['queries', 'items'], { transB: 1 });
  const grouped = graph.emit('Reshape', [scores, graph.ints([rows * groups, GROUP])]);
  const best = graph.emit('ReduceMax', [grouped, graph.ints([1])], { keepdims: 0 });
  const above = graph.emit('Greater', [
    graph.emit('Reshape', [best, graph.ints([rows, groups])]),
    'thresholds',
  ]);
  const found = graph.emit('NonZero', [graph.emit('Reshape', [above, graph.ints([-1])])]);
  const places = graph.emit('Reshape', [found, graph.ints([-1])]);
  graph.output(
    'places',
    { dtype: 'int32', shape: [-1] },
    graph.emit('Cast', [places], { to: ELEMENT_TYPE.int32 }),
  );
  graph.output('scores', { dtype: 'float32', shape: [-1, GROUP] }, graph.emit('Gather', [grouped, places]));
  graph.finish();
  return graph;
}
