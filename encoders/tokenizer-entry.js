// The first code of a tokenizing thread. Plain JavaScript: it makes TypeScript importable before anything else is.
import { register } from 'tsx/esm/api';

register();
await import('./tokenizer-worker.ts');
