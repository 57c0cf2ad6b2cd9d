import type { LossSettings } from '../configs/train-settings.ts';
import { partsOf } from '../data/batch-parts.ts';
import type { Batch } from '../data/batches.ts';
import { targetCounts } from '../data/counts.ts';
import type { Dataset } from '../data/dataset.ts';
import {
  allocate,
  type Compiled,
  compileGradients,
  compileShards,
  type Device,
  type Feeds,
  gradientOf,
  type HostTensor,
  type Inputs,
  type Parameter,
  type Parameters,
  type Randomness,
  type RowGradients,
  type Sharded,
  tf,
} from '../engine/index.ts';
import type { Items, Recommender } from '../models/index.ts';
import { feedsOf, type TextTable, trainingLoss } from './objective.ts';
import { sampledSoftmax } from './sampled-softmax.ts';
import { ItemList, NegativeSampler } from './sampling.ts';
import { ItemTower, release } from './tower.ts';

/** Catalogues with texts that are larger than this go through their model in chunks. */
const LARGE_CATALOGUE = 16_384;
/** Item lists of sampled steps are filled up to a multiple of this: few shapes are compiled. */
const LIST_STEP = 1024;
/** Sampled steps have more shapes than others, of less memory. */
const SAMPLED_SESSIONS = 48;

/** How the gradients of one batch are computed. */
export abstract class TrainingStep {
  /**
   * Leaves the gradients where the optimizer finds them, but for those of lazy tables' rows, which it returns. The loss is to
   * be read once, and may be read after later steps: a graphics card is not waited for until then.
   * @param extra inputs of a model's own loss
   */
  abstract start(batch: Batch, at: Randomness, extra?: Feeds): Promise<Started>;

  /** The same, with the loss. */
  async run(batch: Batch, at: Randomness, extra?: Feeds): Promise<{ loss: number; rows: RowGradients[] }> {
    const { loss, rows } = await this.start(batch, at, extra);
    return { loss: await loss(), rows };
  }

  abstract close(): Promise<void>;
}

export interface Started {
  loss(): Promise<number>;
  rows: RowGradients[];
}

/** A loss that is read later; results in host memory are, before the next step writes over them. */
function lossOf({ loss }: Record<string, HostTensor>): () => Promise<number> {
  const { read } = loss;
  if (read) return async () => (await read())[0];
  const [value] = loss.data;
  return async () => value;
}

export interface StepOptions {
  model: Recommender;
  parameters: Parameters;
  dataset: Pick<Dataset, 'itemCount' | 'train'>;
  text: TextTable;
  loss: LossSettings;
  /** Parts of a batch that are computed side by side; 0 for as many as suit the model. */
  parts?: number;
  seed: number;
  device: Device;
}

/** Where parts have up to so many parameters, copying these and their gradients costs next to nothing. */
const SMALL_MODEL = 500_000;

/** Parts of a batch that are computed side by side; call it when it is known which parameters are deferred. */
function partsFor({ parts = 0, text, parameters, device }: StepOptions): number {
  // Parts run on threads of the processor.
  if (!device.inHostMemory) return 1;
  const size = parameters.all().reduce((sum, { lazy, values }) => sum + (lazy ? 0 : values.length), 0);
  // The item side of a model with texts would run once in every part.
  return parts || (!text && size <= SMALL_MODEL ? 2 : 1);
}

/**
 * The way to train a model that its loss and the size of the catalogue ask for. Make it before the optimizer.
 * @param chunking from how many items on a catalogue goes in chunks, and of how many
 */
export function trainingStep(
  options: StepOptions,
  { largeCatalogue = LARGE_CATALOGUE, chunkItems }: { largeCatalogue?: number; chunkItems?: number } = {},
): TrainingStep {
  const { model, loss, text, dataset } = options;
  if (model.loss) return new WholeStep({ ...options, parts: 1 });
  if (loss.type === 'sampled') return new SampledStep(options);
  if (text && dataset.itemCount > largeCatalogue) return new TowerStep(options, text, chunkItems);
  return new WholeStep(options);
}

/** Everything in one graph, or in one for every part of the batch, the parts side by side. */
class WholeStep extends TrainingStep {
  readonly #gradients: Sharded;
  readonly #text: TextTable;
  readonly #parts: number;

  constructor(options: StepOptions) {
    super();
    const { model, dataset, text, parameters, device } = options;
    this.#text = text;
    this.#parts = partsFor(options);
    const loss = trainingLoss(model, dataset.itemCount);
    this.#gradients = compileShards(loss, this.#parts, { parameters, device, readLater: true });
  }

  async start(batch: Batch, at: Randomness, extra: Feeds = {}) {
    const parts = partsOf(batch, this.#parts).map((part) => ({ ...feedsOf(part, this.#text), ...extra }));
    return { loss: lossOf(await this.#gradients(parts, at)), rows: [] };
  }

  close(): Promise<void> {
    return this.#gradients.close();
  }
}

/** The items' side in chunks, before and after the loss: memory does not grow with the catalogue's inner layers. */
class TowerStep extends TrainingStep {
  readonly #tower: ItemTower;
  readonly #gradients: Compiled;
  readonly #text: TextTable;

  constructor({ model, dataset, parameters, device }: StepOptions, text: HostTensor, chunkItems?: number) {
    super();
    this.#text = text;
    this.#tower = new ItemTower(model, text, { training: true }, { parameters, device }, chunkItems);
    this.#gradients = compileGradients(trainingLoss(model, dataset.itemCount), {
      parameters,
      device,
      inputs: ['table'],
      hold: [gradientOf('table')],
      readLater: true,
    });
  }

  async start(batch: Batch, at: Randomness) {
    const { table } = await this.#tower.forward(at);
    // The parts of the step are numbered: the tower's chunks first.
    const results = await this.#gradients(
      { ...feedsOf(batch, this.#text), table },
      { ...at, part: this.#tower.parts },
    );
    const loss = lossOf(results);
    const gradient = results[gradientOf('table')];
    await this.#tower.backward(gradient, at);
    for (const vectors of [table, gradient]) release(vectors);
    return { loss, rows: [] };
  }

  async close(): Promise<void> {
    await this.#tower.close();
    await this.#gradients.close();
  }
}

/** Only the items that a batch is about: those of its histories, its targets, and the negatives that were drawn. */
class SampledStep extends TrainingStep {
  readonly #gradients: Sharded;
  readonly #text: TextTable;
  readonly #parts: number;
  readonly #sampler: NegativeSampler;
  readonly #list: ItemList;
  /** Tables of one row an item, of which the graph gets the rows that it needs, or gathers them where the tables are. */
  readonly #tables: Parameter[];
  readonly #resident: boolean;
  readonly #textRows = new RowGatherer();
  readonly #tableRows: Map<string, RowGatherer>;

  constructor(options: StepOptions) {
    super();
    const { model, dataset, text, parameters, device, loss, seed } = options;
    this.#text = text;
    this.#sampler = new NegativeSampler(loss, targetCounts(dataset.train, dataset.itemCount), seed);
    this.#list = new ItemList(dataset.itemCount);
    this.#tables = parameters.deferRows();
    this.#tableRows = new Map(this.#tables.map(({ name }) => [name, new RowGatherer()]));
    this.#resident = device.resident ?? false;
    this.#parts = partsFor(options);
    const criterion = trainingLoss(model, dataset.itemCount, {
      criterion: sampledSoftmax,
      items: (inputs) => this.#items(inputs),
    });
    this.#gradients = compileShards(criterion, this.#parts, {
      parameters,
      device,
      inputs: this.#resident ? [] : this.#tables.map(rowsOf),
      sessions: SAMPLED_SESSIONS,
      readLater: true,
    });
  }

  /** The listed items, as a model sees them in a compiled function. */
  #items(inputs: Inputs): Items {
    const ids = inputs.ids as tf.Tensor1D;
    const text = inputs.text as tf.Tensor2D;
    return {
      count: ids.shape[0],
      text: this.#resident && text ? tf.gather(text, ids) : text,
      rows: (table) => {
        const known = this.#tables.find(({ variable }) => (variable as tf.Tensor) === table);
        return known && !this.#resident ? (inputs[rowsOf(known)] as tf.Tensor2D) : tf.gather(table, ids);
      },
    };
  }

  async start(batch: Batch, at: Randomness) {
    const drawn = this.#sampler.draw(at.step, batch.target, batch.targetCount);
    const { ids, places } = this.#list.gather([batch.history, batch.target, drawn.ids]);
    const [history, target, negatives] = places;
    // What fills the list up is an item of it again, which nothing points at.
    const listed = new Int32Array(Math.ceil(ids.length / LIST_STEP) * LIST_STEP).fill(ids[0]);
    listed.set(ids);
    const text = this.#resident ? this.#text : this.#text && this.#textRows.gather(this.#text, listed);
    const common: Feeds = {
      ids: { dtype: 'int32', shape: [listed.length], data: listed },
      negatives: { dtype: 'int32', shape: [negatives.length], data: negatives },
      offsets: { dtype: 'float32', shape: [negatives.length], data: drawn.offsets },
    };
    if (!this.#resident)
      for (const table of this.#tables) {
        const { shape, values } = table;
        const whole: HostTensor = { dtype: 'float32', shape, data: values };
        common[rowsOf(table)] = this.#tableRows.get(table.name)!.gather(whole, listed);
      }
    const parts = partsOf({ ...batch, history, target }, this.#parts);
    const results = await this.#gradients(
      parts.map((part) => ({ ...feedsOf(part, text), ...common })),
      at,
    );
    const rows = this.#tables.map((table) => {
      const { name } = table;
      if (this.#resident) return { name, ids: listed };
      return { name, ids, gradient: results[gradientOf(rowsOf(table))].data as Float32Array };
    });
    return { loss: lossOf(results), rows };
  }

  close(): Promise<void> {
    return this.#gradients.close();
  }
}

const rowsOf = ({ name }: Parameter): string => `rows of ${name}`;

/** Copies rows of a matrix [n, width], always into the same memory. */
class RowGatherer {
  #memory: HostTensor['data'] | undefined;
  /** Views of it by their number of rows: a session knows an input again by its array. */
  readonly #views = new Map<number, HostTensor>();

  gather({ dtype, shape, data }: HostTensor, ids: Int32Array): HostTensor {
    const width = shape[1];
    const spec = { dtype, shape: [ids.length, width] };
    const size = ids.length * width;
    if (!this.#memory || this.#memory.length < size) {
      this.#memory = allocate(spec);
      this.#views.clear();
    }
    const rows = this.#views.get(ids.length) ?? { ...spec, data: this.#memory.subarray(0, size) };
    this.#views.set(ids.length, rows);
    ids.forEach((id, i) => {
      rows.data.set(data.subarray(id * width, (id + 1) * width), i * width);
    });
    return rows;
  }
}
