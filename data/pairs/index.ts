export { buildPairs, type PairsReport, pairColumns } from './build.ts';
export { forEachPair, type Pair } from './read.ts';
export { type PairSettings, pairSettings } from './settings.ts';
