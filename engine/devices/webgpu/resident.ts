import { type HostTensor, sizeOf } from '../../graph.ts';
import type { Parameter, Parameters, Residence } from '../../parameters.ts';
import { blockName, blockRows, startsOf } from './blocks.ts';
import { download, type GpuTensor, upload } from './runtime.ts';

/** Parameters of fewer elements share one tensor, so that an optimizer step is a few operations over all of them. */
const SMALL = 2 ** 16;

/** What the card holds of a group. */
export const PARTS = ['value', 'first', 'second', 'gradient'] as const;
export type Part = (typeof PARTS)[number];

/** A parameter, or a block of rows of a large one. */
export interface Piece {
  name: string;
  shape: readonly number[];
  parameter: Parameter;
  /** Its first row in the parameter. */
  firstRow: number;
}

/** Parameters in one tensor: a table in its shape, a block of a large one, or small parameters one after the other. */
export interface Group {
  /** How graphs call its tensors: `part` `name`. */
  name: string;
  pieces: Piece[];
  shape: readonly number[];
  trainable: boolean;
  lazy: boolean;
}

/** How the card is used. */
export interface CardOptions {
  /** True refuses graphs of which a part would run on the processor. */
  strict: boolean;
  /** Matrices of more bytes are cut into blocks of rows. */
  blockBytes: number;
}

export const inputOf = (group: Group, part: Part) => `${part} of ${group.name}`;

/** A model's parameters, moments and gradients on the card. The host's copy is refreshed when somebody wants to read it. */
export class ResidentParameters implements Residence {
  static readonly #known = new WeakMap<Parameters, ResidentParameters>();

  /** The card's side of some parameters. */
  static of(parameters: Parameters, blockBytes: number): ResidentParameters {
    const known = ResidentParameters.#known.get(parameters) ?? new ResidentParameters(parameters, blockBytes);
    ResidentParameters.#known.set(parameters, known);
    parameters.residence = known;
    return known;
  }

  readonly #parameters: Parameters;
  readonly #blockBytes: number;
  readonly #tensors = new Map<string, GpuTensor>();
  /** What the card has changed since the host last had it. */
  readonly #newer = new Set<string>();
  /** Groups whose gradients count as zero, whatever their tensors hold. */
  readonly #zeroed = new Set<Group>();
  #groups: Group[] | undefined;

  private constructor(parameters: Parameters, blockBytes: number) {
    this.#parameters = parameters;
    this.#blockBytes = blockBytes;
  }

  /** Made at the first use: which parameters are trained, and how, is settled by then. */
  get groups(): Group[] {
    this.#groups ??= groupsOf(this.#parameters.all(), this.#blockBytes);
    return this.#groups;
  }

  /** A part of a group on the card; from the host's copy at first, moments and gradients from zero where it has none. */
  async tensor(group: Group, part: Part): Promise<GpuTensor> {
    const key = inputOf(group, part);
    if (part === 'gradient' && this.#zeroed.has(group))
      this.replace(group, part, await upload(zerosOf(group)));
    const known = this.#tensors.get(key);
    if (known) return known;
    const tensor = await upload(this.#onHost(group, part));
    this.#tensors.set(key, tensor);
    return tensor;
  }

  /** What gradients are to be added to: the groups' gradients, times `keep`, which is 0 where all of them count as zero. */
  async gradientsToKeep(groups: readonly Group[]): Promise<{ tensors: GpuTensor[]; keep: number }> {
    const keep = groups.every((group) => this.#zeroed.has(group)) ? 0 : 1;
    if (!keep) for (const group of groups) this.#zeroed.delete(group);
    return { tensors: await Promise.all(groups.map((group) => this.tensor(group, 'gradient'))), keep };
  }

  /** Puts a new tensor in the place of an old one. */
  replace(group: Group, part: Part, tensor: GpuTensor): void {
    const key = inputOf(group, part);
    this.#tensors.get(key)?.dispose();
    this.#tensors.set(key, tensor);
    this.#newer.add(key);
    if (part === 'gradient') this.#zeroed.delete(group);
  }

  zeroGradients(): void {
    for (const group of this.groups) if (group.trainable) this.#zeroed.add(group);
  }

  #onHost(group: Group, part: Part): HostTensor {
    const data = new Float32Array(sizeOf(group.shape));
    let offset = 0;
    for (const piece of group.pieces) {
      const values = this.#hostValues(piece, part);
      if (values) data.set(values, offset);
      offset += sizeOf(piece.shape);
    }
    return { dtype: 'float32', shape: group.shape, data };
  }

  /** Where the host has a piece's part; undefined for moments of parameters that have no arena yet. */
  #hostValues({ parameter, shape, firstRow }: Piece, part: Part): Float32Array | undefined {
    const { name, values, slot } = parameter;
    if (part !== 'value' && !slot) return undefined;
    const whole = part === 'value' ? values : this.#parameters.view(name, part);
    const start = firstRow && firstRow * shape[1];
    return whole.subarray(start, start + sizeOf(shape));
  }

  async fetch(): Promise<void> {
    for (const group of this.#zeroed) await this.tensor(group, 'gradient');
    const newer = this.groups.flatMap((group) =>
      PARTS.filter((part) => this.#newer.has(inputOf(group, part))).map((part) => ({ group, part })),
    );
    if (newer.some(({ part }) => part !== 'value')) this.#parameters.segments();
    for (const { group, part } of newer) {
      const data = (await download(this.#tensors.get(inputOf(group, part))!)) as Float32Array;
      let offset = 0;
      for (const piece of group.pieces) {
        const values = this.#hostValues(piece, part)!;
        values.set(data.subarray(offset, offset + values.length));
        offset += values.length;
      }
    }
    this.#newer.clear();
  }

  drop(): void {
    for (const tensor of this.#tensors.values()) tensor.dispose();
    this.#tensors.clear();
    this.#newer.clear();
    this.#zeroed.clear();
  }
}

const zerosOf = ({ shape }: Group): HostTensor => ({
  dtype: 'float32',
  shape,
  data: new Float32Array(sizeOf(shape)),
});

/** @param blockBytes matrices of more bytes are cut */
function groupsOf(all: readonly Parameter[], blockBytes: number): Group[] {
  const isSmall = (p: Parameter) =>
    p.trainable && !p.lazy && sizeOf(p.shape) < SMALL && !blockRows(p.shape, blockBytes);
  const small = all.filter(isSmall);
  const groups: Group[] = all
    .filter((p) => !isSmall(p))
    .flatMap((p) => piecesOf(p, blockBytes))
    .map((piece) => {
      const { trainable, lazy } = piece.parameter;
      return { name: piece.name, pieces: [piece], shape: piece.shape, trainable, lazy };
    });
  if (small.length) {
    const size = small.reduce((sum, { shape }) => sum + sizeOf(shape), 0);
    const pieces = small.map(wholePiece);
    groups.push({ name: 'small parameters', pieces, shape: [size], trainable: true, lazy: false });
  }
  return groups;
}

const wholePiece = (parameter: Parameter): Piece => ({
  name: parameter.name,
  shape: parameter.shape,
  parameter,
  firstRow: 0,
});

function piecesOf(parameter: Parameter, blockBytes: number): Piece[] {
  const { name, shape } = parameter;
  const rows = blockRows(shape, blockBytes);
  if (!rows) return [wholePiece(parameter)];
  return startsOf(rows).map((firstRow, i) => ({
    name: blockName(name, i),
    shape: [rows[i], shape[1]],
    parameter,
    firstRow,
  }));
}
