import type { LossSettings } from '../configs/train-settings.ts';
import { partsOf } from '../data/batch-parts.ts';
import type { Batch } from '../data/batches.ts';
import type { Dataset } from '../data/dataset.ts';
import { targetCounts } from '../data/inspect.ts';
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
import { ItemTower } from './tower.ts';

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

/** Models of up to so many elements run in two parts: copying parameters and gradients costs next to nothing. */
const SMALL_MODEL = 500_000;

function partsFor({ parts = 0, text, parameters, device }: StepOptions): number {
  // Parts run on threads of the processor.
  if (!device.inHostMemory) return 1;
  // The item side of a model with texts would run once in every part.
  return parts || (!text && parameters.size <= SMALL_MODEL ? 2 : 1);
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
  if (model.loss) return new WholeStep(options);
  if (loss.type === 'sampled') return new SampledStep(options);
  if (text && dataset.itemCount > largeCatalogue) return new TowerStep(options, text, chunkItems);
  const parts = partsFor(options);
  return parts > 1 ? new PartsStep(options, parts) : new WholeStep(options);
}

/** Everything in one graph. */
class WholeStep extends TrainingStep {
  readonly #gradients: Compiled;
  readonly #text: TextTable;

  constructor({ model, dataset, text, parameters, device }: StepOptions) {
    super();
    this.#text = text;
    this.#gradients = compileGradients(trainingLoss(model, dataset.itemCount), {
      parameters,
      device,
      readLater: true,
    });
  }

  async start(batch: Batch, at: Randomness, extra: Feeds = {}) {
    const results = await this.#gradients({ ...feedsOf(batch, this.#text), ...extra }, at);
    return { loss: lossOf(results), rows: [] };
  }

  close(): Promise<void> {
    return this.#gradients.close();
  }
}

/** Everything in one graph for every part of the batch, the parts side by side. */
class PartsStep extends TrainingStep {
  readonly #gradients: Sharded;
  readonly #text: TextTable;
  readonly #parts: number;

  constructor({ model, dataset, text, parameters, device }: StepOptions, parts: number) {
    super();
    this.#text = text;
    this.#parts = parts;
    const loss = trainingLoss(model, dataset.itemCount);
    this.#gradients = compileShards(loss, parts, { parameters, threads: device.threads });
  }

  async start(batch: Batch, at: Randomness) {
    // A batch of fewer rows than parts is left whole.
    const parts = partsOf(batch, Math.min(this.#parts, batch.rows));
    const loss = await this.#gradients(
      parts.map((part) => feedsOf(part, this.#text)),
      at,
    );
    return { loss: async () => loss, rows: [] };
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
      inputs: ['table', 'candidates'],
    });
  }

  async start(batch: Batch, at: Randomness) {
    await this.#tower.forward(at);
    const { table, candidates } = this.#tower as Required<ItemTower>;
    // The parts of the step are numbered: the tower's chunks first.
    const results = await this.#gradients(
      { ...feedsOf(batch, this.#text), table: table!, candidates: candidates! },
      { ...at, part: this.#tower.parts },
    );
    const gradient = (name: string) => results[gradientOf(name)].data as Float32Array;
    const loss = lossOf(results);
    await this.#tower.backward(gradient('table'), gradient('candidates'), at);
    return { loss, rows: [] };
  }

  async close(): Promise<void> {
    await this.#tower.close();
    await this.#gradients.close();
  }
}

/** Only the items that a batch is about: those of its histories, its targets, and the negatives that were drawn. */
class SampledStep extends TrainingStep {
  readonly #gradients: Compiled;
  readonly #text: TextTable;
  readonly #sampler: NegativeSampler;
  readonly #list: ItemList;
  /** Tables of one row an item, of which the graph gets the rows that it needs, or gathers them where the tables are. */
  readonly #tables: Parameter[];
  readonly #resident: boolean;

  constructor({ model, dataset, text, parameters, device, loss, seed }: StepOptions) {
    super();
    this.#text = text;
    this.#sampler = new NegativeSampler(loss, targetCounts(dataset.train, dataset.itemCount), seed);
    this.#list = new ItemList(dataset.itemCount);
    this.#tables = parameters.deferRows();
    this.#resident = device.resident ?? false;
    this.#gradients = compileGradients(
      trainingLoss(model, dataset.itemCount, {
        criterion: sampledSoftmax,
        items: (inputs) => this.#items(inputs),
      }),
      {
        parameters,
        device,
        inputs: this.#resident ? [] : this.#tables.map(rowsOf),
        sessions: SAMPLED_SESSIONS,
        readLater: true,
      },
    );
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
    const here = { ...batch, history, target };
    const feeds: Feeds = {
      ...feedsOf(here, this.#resident ? this.#text : this.#text && gatherRows(this.#text, listed)),
      ids: { dtype: 'int32', shape: [listed.length], data: listed },
      negatives: { dtype: 'int32', shape: [negatives.length], data: negatives },
      offsets: { dtype: 'float32', shape: [negatives.length], data: drawn.offsets },
    };
    if (this.#resident) {
      const results = await this.#gradients(feeds, at);
      return { loss: lossOf(results), rows: this.#tables.map(({ name }) => ({ name, ids: listed })) };
    }
    for (const table of this.#tables) {
      const { shape, values } = table;
      feeds[rowsOf(table)] = gatherRows({ dtype: 'float32', shape, data: values }, listed);
    }
    const results = await this.#gradients(feeds, at);
    const rows = this.#tables.map((table) => ({
      name: table.name,
      ids,
      gradient: results[gradientOf(rowsOf(table))].data as Float32Array,
    }));
    return { loss: lossOf(results), rows };
  }

  close(): Promise<void> {
    return this.#gradients.close();
  }
}

const rowsOf = ({ name }: Parameter): string => `rows of ${name}`;

/** Rows of a matrix [n, width], copied. */
function gatherRows({ dtype, shape, data }: HostTensor, ids: Int32Array): HostTensor {
  const width = shape[1];
  const rows = { dtype, shape: [ids.length, width] };
  const out = allocate(rows);
  ids.forEach((id, i) => {
    out.set(data.subarray(id * width, (id + 1) * width), i * width);
  });
  return { ...rows, data: out };
}
