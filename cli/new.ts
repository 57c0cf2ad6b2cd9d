import { existsSync, readFileSync } from 'node:fs';
import type { CommandModule } from 'yargs';
import { UsageError } from '../common/errors.ts';
import { writeFileAtomic } from '../common/files.ts';
import { command } from './command.ts';
import { outputOptions } from './options.ts';
import { printResult } from './output.ts';

const example = new URL('../examples/my-model.ts', import.meta.url);

const model = command({
  command: 'model <name>',
  describe: 'write a small model that works, to be changed into another, to NAME.ts',
  builder: (yargs) =>
    yargs
      .positional('name', { type: 'string', demandOption: true, describe: 'as in my-model' })
      .options({ json: outputOptions.json }),
  async handler({ name, json }) {
    if (!/^[a-z][a-z0-9]*(-[a-z0-9]+)*$/.test(name))
      throw new UsageError(`'${name}' is no name for a model: small letters, digits and '-', as in my-model`);
    const file = `./${name}.ts`;
    if (existsSync(file)) throw new UsageError(`${file} exists already; it was left as it is`);
    const { models } = await import('../models/index.ts');
    if (models.names().includes(name)) throw new UsageError(`'${name}' is the name of a built-in model`);
    await writeFileAtomic(file, readFileSync(example, 'utf8').replaceAll('my-model', name));
    printResult({ file }, json, () =>
      [
        `${file} is a model that works. Change it, check it, run it:`,
        `  rec check ${file}`,
        `  rec run --plugin ${file} --model ${name}`,
      ].join('\n'),
    );
  },
});

/** `rec new model NAME`. */
export const create: CommandModule = {
  command: 'new',
  describe: 'start a model of your own',
  builder: (yargs) => yargs.command(model).demandCommand(1, 'what? model NAME.'),
  handler: () => {},
};
