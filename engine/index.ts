export {
  type Compiled,
  type CompileOptions,
  compile,
  compileGradients,
  type Feeds,
  type GradientOptions,
  gradientOf,
  type Inputs,
} from './compile.ts';
export { type CrossEntropyOptions, LEAST_PROBABILITY, linearCrossEntropy } from './cross-entropy.ts';
export { customGradient, type WithGradient } from './custom-gradient.ts';
export type { Device, DeviceOptions, Probe } from './devices/contract.ts';
export { cpuDevice } from './devices/cpu.ts';
export { eagerDevice } from './devices/eager.ts';
export { openDevice, probeDevice } from './devices/index.ts';
export { deviceNames } from './devices/names.ts';
export type { Setup } from './devices/tensorflow/binding.ts';
export { makeBinding, removeBinding, type SetupOptions } from './devices/tensorflow/setup.ts';
export { hasGraphicsCard } from './devices/webgpu/index.ts';
export { withRandomness } from './eager.ts';
export { modelLine } from './explain.ts';
export { allocate, type DType, Graph, type HeldRows, type HostTensor, type Spec, sizeOf } from './graph.ts';
export { gru } from './gru.ts';
export { ELEMENT_TYPE, encodeOnnx } from './onnx.ts';
export { dropout, gelu, hardSigmoid, l2Normalize, layerNorm, linear, noise } from './ops.ts';
export {
  cosineSchedule,
  linearSchedule,
  Optimizer,
  type OptimizerOptions,
  openOptimizer,
  type RowGradients,
  type Schedule,
  type Stepper,
} from './optimizer.ts';
export {
  type Initializer,
  normal,
  ones,
  type Parameter,
  Parameters,
  uniform,
  xavierNormal,
  xavierUniform,
  zeros,
} from './parameters.ts';
export type { Randomness } from './random.ts';
export { type Executable, keepsMemory, runOnnx } from './session.ts';
export { compileShards, type Sharded } from './shards.ts';
export { tensorOf, tf } from './tf.ts';
export { isTracing } from './tracer.ts';
export { transpose } from './transpose.ts';
