import type { Compiled, Program } from '../compile.ts';
import type { Graph } from '../graph.ts';
import type { OptimizerOptions, Stepper } from '../optimizer.ts';
import type { Parameters } from '../parameters.ts';
import type { Executable } from '../session.ts';

/** Where functions compute. */
export interface Device {
  readonly name: string;
  /** Why this device was taken, in words for the user. */
  readonly reason: string;
  /** Threads of one operation. */
  readonly threads: number;
  /** True where results are host memory at no cost, so that the host may do part of the work. */
  readonly inHostMemory: boolean;
  /** True where functions run operation by operation; graphs that were not traced from one run on the processor. */
  readonly eager?: boolean;
  /** True where parameters stay on the device: what a step reads of them is gathered there. */
  readonly resident?: boolean;
  /** Makes a graph ready that reads host memory and writes it. */
  load(graph: Graph): Promise<Executable>;
  /** Set by devices that do not run functions as graphs from and into host memory. */
  compile?(program: Program): Compiled;
  /** Set by devices that have gradients in memory of their own. */
  optimizer?(parameters: Parameters, options: OptimizerOptions): Stepper;
}

export interface DeviceOptions {
  /** Threads of one operation; by default as many as the machine has cores. */
  threads?: number;
  /** Of the cpu device: true lets threads without work look for it in a loop. It changes the time taken, and no number. */
  spinning?: boolean;
}

/** Whether a device works on this machine. */
export interface Probe {
  works: boolean;
  /** Why it works or not; in the second case with the command that mends it. */
  why: string;
  /** True where it computes on a card of its own: the processor is not what it would have to beat. */
  card?: boolean;
}

/** A kind of device: how to find out whether it works, and how to open it. */
export interface DeviceKind {
  /** Never throws. */
  probe(): Promise<Probe>;
  /** @throws UserError where it does not work */
  open(options: DeviceOptions, reason: string): Device | Promise<Device>;
}
