// Checks a device in a process of its own. Plain JavaScript: it makes TypeScript importable before anything else.
import { register } from 'tsx/esm/api';

register();

// The last line; native libraries write where they like.
const say = (answer) => process.stdout.write(`\n${JSON.stringify(answer)}\n`);

const { examineDevice } = await import('./device-check.ts');
try {
  say({ examined: await examineDevice(process.argv[2]) });
} catch (error) {
  say({ error: error instanceof Error ? error.message : String(error) });
}
