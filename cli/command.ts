import type { Argv, CommandModule } from 'yargs';

interface Definition<Given> {
  command: string;
  describe: string;
  builder: (yargs: Argv) => Argv<Given>;
  handler: (given: Given) => Promise<void>;
}

/**
 * A command whose handler is given what its builder declares, under the names that were declared: yargs's own types
 * add camel-cased ones, which main.ts turns off.
 */
export function command<Given>(definition: Definition<Given>): CommandModule<object, Given> {
  return definition as CommandModule<object, Given>;
}
