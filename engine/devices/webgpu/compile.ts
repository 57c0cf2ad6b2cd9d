import type { InferenceSession } from 'onnxruntime-node';
import {
  type Compiled,
  type Feeds,
  gradientName,
  gradientNames,
  gradientOf,
  type Program,
  parameterName,
  ShapeCache,
  traceProgram,
} from '../../compile.ts';
import { allocate, type Graph, type HostTensor, type RandomInput, sizeOf } from '../../graph.ts';
import { encodeOnnx } from '../../onnx.ts';
import type { Randomness } from '../../random.ts';
import { blockName, type Cuts, cutLarge, cutTensor } from './blocks.ts';
import { frozenCopy } from './frozen.ts';
import { cardTensor, type HeldOutputs, keepParts, partName, takeParts } from './held.ts';
import { lower } from './lower.ts';
import { KEYS, keysOf } from './random.ts';
import { type CardOptions, type Group, inputOf, type Piece, ResidentParameters } from './resident.ts';
import { createGpuSession, download, type GpuTensor, hostTensor, runGpu } from './runtime.ts';

/** Compiles a program for the card: parameters and their gradients stay there. */
export function compileResident(program: Program, options: CardOptions): Compiled {
  const resident = ResidentParameters.of(program.parameters, options.blockBytes);
  const sessions = new ShapeCache<ResidentSession>(program.sessions);
  const call = async (
    feeds: Feeds,
    randomness: Randomness = { seed: 0, step: 0 },
    after?: Promise<unknown>,
  ) => {
    await after;
    const session = await sessions.get(feeds, () =>
      ResidentSession.create(program, feeds, { ...options, resident }),
    );
    return session.run(feeds, randomness);
  };
  call.close = () => sessions.close();
  return call;
}

/** What a session's graph is, and what was done to it. */
interface Prepared {
  graph: Graph;
  cuts: Cuts;
  random: readonly RandomInput[];
  zeros: Record<string, HostTensor>;
  held: HeldOutputs;
}

interface Context extends CardOptions {
  resident: ResidentParameters;
}

/** One compiled shape. */
class ResidentSession {
  readonly #session: InferenceSession;
  readonly #graph: Graph;
  readonly #cuts: Cuts;
  readonly #random: readonly RandomInput[];
  readonly #context: Context;
  /** Groups that the graph reads, those whose gradients it reads, and those whose gradients it writes. */
  readonly #read: Group[];
  readonly #accumulated: Group[];
  readonly #written: Group[];
  /** Results that the function promises, but its graph does not reach. */
  readonly #zeros: Record<string, HostTensor>;
  readonly #held: HeldOutputs;

  private constructor(
    session: InferenceSession,
    { graph, cuts, random, zeros, held }: Prepared,
    context: Context,
  ) {
    const { groups } = context.resident;
    this.#session = session;
    this.#graph = graph;
    this.#cuts = cuts;
    this.#random = random;
    this.#context = context;
    this.#zeros = zeros;
    this.#held = held;
    this.#read = groups.filter((group) => graph.inputs.has(inputOf(group, 'value')));
    this.#accumulated = groups.filter((group) => graph.inputs.has(inputOf(group, 'gradient')));
    this.#written = groups.filter((group) => graph.outputs.has(newGradient(group)));
  }

  static async create(program: Program, feeds: Feeds, context: Context): Promise<ResidentSession> {
    const graph = traceProgram(program, feeds, 'gpu');
    const { groups } = context.resident;
    const { differentiation } = program;
    const random = lower(graph);
    const zeros: Record<string, HostTensor> = {};
    for (const input of differentiation?.inputs ?? []) {
      const { shape } = feeds[input];
      const spec = { dtype: 'float32', shape } as const;
      if (!graph.outputs.has(gradientOf(input))) zeros[gradientOf(input)] = { ...spec, data: allocate(spec) };
    }
    const cuts = cutLarge(graph, context.blockBytes);
    for (const [name, tensor] of Object.entries(feeds))
      if (tensor.held) takeParts(graph, name, tensor.held, cuts);
    const source = new Map(Object.entries(feeds).map(([name, tensor]) => [gradientOf(name), tensor]));
    const held: HeldOutputs = new Map(
      program.hold.flatMap((name) => [...keepParts(graph, name, source.get(name)?.held, cuts)]),
    );
    for (const group of groups) readGroup(graph, group);
    if (differentiation) {
      const wanted = new Set(gradientNames(program));
      for (const group of groups.filter(({ pieces: [{ parameter }] }) =>
        wanted.has(gradientName(parameter.name)),
      ))
        writeGradient(graph, group, differentiation.accumulate);
    }
    graph.finish();
    const later = differentiation?.readLater ? ['loss'] : [];
    const stays = new Set([...groups.map(newGradient), ...held.keys(), ...later]);
    const resident = [...graph.outputs.keys()].filter((name) => stays.has(name));
    const session = await createGpuSession(encodeOnnx(graph), { resident, strict: context.strict });
    return new ResidentSession(session, { graph, cuts, random, zeros, held }, context);
  }

  async run(feeds: Feeds, randomness: Randomness): Promise<Record<string, HostTensor>> {
    const { resident } = this.#context;
    const all: Record<string, GpuTensor> = {};
    for (const group of this.#read) all[inputOf(group, 'value')] = await resident.tensor(group, 'value');
    if (this.#accumulated.length) {
      const { tensors, keep } = await resident.gradientsToKeep(this.#accumulated);
      this.#accumulated.forEach((group, i) => {
        all[inputOf(group, 'gradient')] = tensors[i];
      });
      all[KEEP] = await hostTensor({ dtype: 'float32', shape: [1], data: Float32Array.of(keep) });
    }
    for (const [name, tensor] of Object.entries(feeds)) {
      tensor.held?.forEach((part, i) => {
        if (this.#graph.inputs.has(partName(name, i))) all[partName(name, i)] = cardTensor(part);
      });
      if (tensor.held) continue;
      const rows = this.#cuts.inputs.get(name);
      const names = rows?.map((_, i) => blockName(name, i)) ?? [name];
      if (!this.#graph.inputs.has(names[0])) continue;
      const tensors = tensor.frozen
        ? await frozenCopy(tensor, rows)
        : await Promise.all(cutTensor(tensor, rows).map(hostTensor));
      names.forEach((name, i) => {
        all[name] = tensors[i];
      });
    }
    if (this.#graph.inputs.has(KEYS)) all[KEYS] = await hostTensor(keysOf(this.#random, randomness));
    const outputs = await runGpu(this.#session, all);
    for (const group of this.#written) resident.replace(group, 'gradient', outputs[newGradient(group)]);
    const results: Record<string, HostTensor> = { ...this.#zeros };
    for (const [name, { dtype, shape }] of this.#graph.outputs) {
      if (this.#written.some((group) => newGradient(group) === name)) continue;
      const tensor = outputs[name];
      const part = this.#held.get(name);
      if (part) {
        const { result, first, rows } = part;
        const others = results[result]?.held ?? [];
        const held = [...others, { first, rows, tensor, dispose: () => tensor.dispose() }];
        results[result] = { dtype, shape: [first + rows, shape[1]], data: new Float32Array(), held };
        continue;
      }
      const whole = this.#cuts.outputs.get(name);
      if (whole) {
        results[whole.name] ??= { dtype, shape: whole.shape, data: allocate(whole) };
        results[whole.name].data.set(await download(tensor), whole.firstRow * whole.shape[1]);
        continue;
      }
      results[name] =
        tensor.location === 'gpu-buffer'
          ? { dtype, shape, data: new Float32Array(), read: () => readOnce(tensor) }
          : { dtype, shape, data: await download(tensor) };
    }
    return results;
  }

  release(): Promise<void> {
    return this.#session.release();
  }
}

async function readOnce(tensor: GpuTensor): Promise<HostTensor['data']> {
  const data = await download(tensor);
  tensor.dispose();
  return data;
}

/** Factor of gradients that are added to. */
const KEEP = 'kept gradients';
const newGradient = (group: Group) => `new gradient of ${group.name}`;

/** Lets a group's tensor be what the graph reads its parameters from. */
function readGroup(graph: Graph, group: Group): void {
  const used = group.pieces.filter(({ name }) => graph.inputs.delete(parameterName(name)));
  if (!used.length) return;
  const whole = inputOf(group, 'value');
  graph.input(whole, { dtype: 'float32', shape: group.shape });
  const places = new Map<string, string>();
  const before = graph.nodes.splice(0, Infinity);
  let offset = 0;
  for (const piece of group.pieces) {
    const size = sizeOf(piece.shape);
    if (used.includes(piece)) places.set(parameterName(piece.name), part(graph, group, piece, offset));
    offset += size;
  }
  const at = (name: string) => places.get(name) ?? name;
  for (const node of before) node.inputs = node.inputs.map(at);
  graph.nodes.push(...before);
  for (const output of graph.outputs.values()) output.value = at(output.value);
}

function part(graph: Graph, group: Group, { shape }: Piece, offset: number): string {
  const whole = inputOf(group, 'value');
  if (group.shape === shape) return whole;
  const ends = [[offset], [offset + sizeOf(shape)], [0]].map((values) => graph.ints(values));
  return graph.emit('Reshape', [graph.emit('Slice', [whole, ...ends]), graph.ints(shape)]);
}

/** Makes the gradients of a group's parameters one output in the form of the group, zeros where there are none. */
function writeGradient(graph: Graph, group: Group, accumulate: boolean): void {
  const outputs = group.pieces.map(({ name }) => {
    const output = graph.outputs.get(gradientName(name));
    graph.outputs.delete(gradientName(name));
    return output?.value;
  });
  if (accumulate && !outputs.some(Boolean)) return;
  const flat = group.pieces.map(({ shape }, i) => {
    const target = group.pieces.length === 1 ? group.shape : [sizeOf(shape)];
    const value = outputs[i];
    if (value === undefined) return graph.filled(target, 0, 'float32');
    return target === shape ? value : graph.emit('Reshape', [value, graph.ints(target)]);
  });
  let value = flat.length === 1 ? flat[0] : graph.emit('Concat', flat, { axis: 0 });
  if (group.shape !== group.pieces[0].shape && flat.length === 1)
    value = graph.emit('Reshape', [value, graph.ints(group.shape)]);
  if (accumulate) {
    const old = inputOf(group, 'gradient');
    graph.input(old, { dtype: 'float32', shape: group.shape });
    graph.input(KEEP, { dtype: 'float32', shape: [1] });
    value = graph.emit('Add', [graph.emit('Mul', [old, KEEP]), value]);
  }
  graph.output(newGradient(group), { dtype: 'float32', shape: group.shape }, value);
}
