// Checks a device in a process of its own. Plain JavaScript: it makes TypeScript importable before anything else.
import { register } from 'tsx/esm/api';

register();

const { checkDevice } = await import('./device-check.ts');
try {
  process.stdout.write(JSON.stringify(await checkDevice(process.argv[2])));
} catch (error) {
  process.stderr.write(error instanceof Error ? error.message : String(error));
  process.exitCode = 1;
}
