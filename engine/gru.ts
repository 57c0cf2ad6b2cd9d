import { customGradient } from './custom-gradient.ts';
import { gemm } from './ops.ts';
import { tf } from './tf.ts';

/** The parameters of a layer; columns are those of the reset gate, the update gate and the candidate. */
export interface GruWeights {
  /** [from, 3 size], [3 size] */
  input: tf.Tensor2D;
  inputBias: tf.Tensor1D;
  /** [size, 3 size], [3 size] */
  hidden: tf.Tensor2D;
  hiddenBias: tf.Tensor1D;
}

/** What a step leaves for the way back; all [batch, size]. */
interface Step {
  reset: tf.Tensor;
  update: tf.Tensor;
  candidate: tf.Tensor;
  /** The recurrent term of the candidate, before the reset gate. */
  recurrent: tf.Tensor;
  /** State before the step - candidate. */
  distance: tf.Tensor;
  state: tf.Tensor;
}

/** In the order in which steps are saved, and in which `stepOf` reads them. */
const PARTS = ['reset', 'update', 'candidate', 'recurrent', 'distance', 'state'] as const;

/**
 * A layer of gated recurrent units (Cho et al., 2014; the reset gate inside the candidate's recurrent term, as cuDNN and
 * PyTorch have it), from a state of zeros. Its gradient is written out: one product for all steps wherever no step waits
 * for another, as in Appleyard et al. (2016).
 * @param x [length, batch, from]
 * @param lengths [batch] int32, where only the state after so many steps is wanted
 * @returns [length, batch, size] all states, or [batch, size] with `lengths`
 */
export function gru(x: tf.Tensor3D, weights: GruWeights, lengths?: tf.Tensor1D): tf.Tensor {
  const [length, batch, from] = x.shape;
  const size = weights.hidden.shape[0];
  const flat = (t: tf.Tensor) => tf.reshape(t, [length * batch, -1]) as tf.Tensor2D;
  const steps = (t: tf.Tensor) => tf.split(t, length) as tf.Tensor2D[];

  const forward = (inputs: tf.Tensor[]) => {
    const [x, input, inputBias, hidden, hiddenBias] = inputs as tf.Tensor2D[];
    const [fromX, fromH] = [gates(input), gates(hidden)];
    const [resetBias, updateBias, candidateBias] = gates(inputBias);
    const [resetBiasH, updateBiasH, candidateBiasH] = gates(hiddenBias);
    const project = (k: number, bias: tf.Tensor) => steps(gemm(flat(x), fromX[k], bias));
    const resetX = project(0, tf.add(resetBias, resetBiasH));
    const updateX = project(1, tf.add(updateBias, updateBiasH));
    const candidateX = project(2, candidateBias);

    const done: Step[] = [];
    for (let t = 0; t < length; t++) {
      const before = done[t - 1]?.state as tf.Tensor2D | undefined;
      const reset = tf.sigmoid(before ? gemm(before, fromH[0], resetX[t]) : resetX[t]);
      const update = tf.sigmoid(before ? gemm(before, fromH[1], updateX[t]) : updateX[t]);
      const recurrent = before
        ? gemm(before, fromH[2], candidateBiasH)
        : tf.add(tf.zeros([batch, size]), candidateBiasH);
      const candidate = tf.tanh(tf.add(candidateX[t], tf.mul(reset, recurrent)));
      const distance = before ? tf.sub(before, candidate) : tf.neg(candidate);
      const state = tf.add(candidate, tf.mul(update, distance));
      done.push({ reset, update, candidate, recurrent, distance, state });
    }
    const states = done.map(({ state }) => state);
    const ends = lengths ? endsOf(lengths, length) : [];
    const saved = [x, input, hidden, ...ends, ...done.flatMap((step) => PARTS.map((part) => step[part]))];
    const value = lengths
      ? ends.map((end, t) => tf.mul(states[t], end)).reduce((a, b) => tf.add(a, b))
      : tf.reshape(tf.concat(states), [length, batch, size]);
    return { value, saved, gradient: backward };
  };

  const backward = (dy: tf.Tensor, all: tf.Tensor[]) => {
    const [x, input, hidden, ...saved] = all as tf.Tensor2D[];
    const ends = saved.splice(0, lengths ? length : 0);
    const done = Array.from({ length }, (_, t) =>
      stepOf(saved.slice(PARTS.length * t, PARTS.length * (t + 1))),
    );
    const dStates = lengths
      ? ends.map((end) => tf.mul(dy, end))
      : steps(tf.reshape(dy, [length * batch, size]));
    const [fromX, fromH] = [gates(input), gates(hidden)];
    // What reaches a gate before its sigmoid or tanh, and the recurrent term of the candidate; by step.
    const dReset: tf.Tensor[] = [];
    const dUpdate: tf.Tensor[] = [];
    const dCandidate: tf.Tensor[] = [];
    const dRecurrent: tf.Tensor[] = [];
    let later: tf.Tensor | undefined;
    for (let t = length - 1; t >= 0; t--) {
      const { reset, update, candidate, recurrent, distance } = done[t];
      const dState = later ? tf.add(dStates[t], later) : dStates[t];
      const kept = tf.mul(dState, update);
      dUpdate[t] = timesRest(tf.mul(kept, distance), update);
      const rest = tf.sub(dState, kept);
      dCandidate[t] = tf.sub(rest, tf.mul(tf.mul(rest, candidate), candidate));
      dRecurrent[t] = tf.mul(dCandidate[t], reset);
      dReset[t] = timesRest(tf.mul(dRecurrent[t], recurrent), reset);
      if (t > 0) later = throughGates([dReset[t], dUpdate[t], dRecurrent[t]], fromH, kept);
    }
    const before = tf.concat([tf.zeros([batch, size]), ...done.slice(0, -1).map(({ state }) => state)]);
    const [reset, update, candidate, recurrent] = [dReset, dUpdate, dCandidate, dRecurrent].map((d) =>
      tf.concat(d),
    ) as tf.Tensor2D[];
    const ofInput = [reset, update, candidate];
    const ofHidden = [reset, update, recurrent];
    const [rows, states] = [flat(x), before as tf.Tensor2D];
    const product = (a: tf.Tensor2D) => (d: tf.Tensor2D) => tf.matMul(a, d, true);
    const total = (d: tf.Tensor2D) => tf.sum(d, 0);
    const sums = ofInput.map(total);
    return [
      tf.reshape(throughGates(ofInput, fromX), [length, batch, from]),
      tf.concat(ofInput.map(product(rows)), 1),
      tf.concat(sums),
      tf.concat(ofHidden.map(product(states)), 1),
      tf.concat([sums[0], sums[1], total(recurrent)]),
    ];
  };
  const { input, inputBias, hidden, hiddenBias } = weights;
  return customGradient([x, input, inputBias, hidden, hiddenBias], forward);
}

function stepOf([reset, update, candidate, recurrent, distance, state]: tf.Tensor[]): Step {
  return { reset, update, candidate, recurrent, distance, state };
}

/** The columns of the three gates. */
const gates = (t: tf.Tensor) => tf.split(t, 3, -1) as tf.Tensor2D[];

/** x (1 - gate): the second factor of a sigmoid's slope. */
const timesRest = (x: tf.Tensor, gate: tf.Tensor) => tf.sub(x, tf.mul(x, gate));

/** sum_k d_k W_k^T (+ start) */
function throughGates(d: tf.Tensor[], weights: tf.Tensor2D[], start?: tf.Tensor): tf.Tensor {
  return weights.reduce<tf.Tensor | undefined>(
    (sum, w, k) =>
      sum ? gemm(d[k], w, sum, { transposeB: true }) : tf.matMul(d[k] as tf.Tensor2D, w, false, true),
    start,
  )!;
}

/** For every step a [batch, 1] column: 1 in the rows that end after it, else 0. */
function endsOf(lengths: tf.Tensor1D, length: number): tf.Tensor[] {
  if (length === 1) return [tf.ones([lengths.shape[0], 1])];
  return tf.split(tf.oneHot(tf.sub(lengths, tf.scalar(1, 'int32')), length, 1, 0, 'float32'), length, 1);
}
