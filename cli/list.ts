import type { Argv } from 'yargs';
import { unknownName } from '../common/errors.ts';
import type { EncoderName } from '../configs/catalogue.ts';
import type { ConfigOptions } from '../configs/options.ts';
import type { Parameter } from '../configs/schema.ts';
import type { Layer } from '../configs/values.ts';
import type { EncoderDefinition } from '../encoders/contract.ts';
import { command } from './command.ts';
import { exportEncoder } from './export-encoder.ts';
import { configOptions, outputOptions } from './options.ts';
import { printResult } from './output.ts';
import { paint, table } from './style.ts';

interface Listed {
  name: string;
  summary: string;
  parameters?: Parameter[];
  [fact: string]: unknown;
}

/** A command that lists what can be chosen by name, with its parameters. */
function listing(
  kind: string,
  describe: string,
  load: (options: ConfigOptions) => Promise<Listed[]>,
  extend: (yargs: Argv) => Argv = (yargs) => yargs,
) {
  return command({
    command: `${kind}s [name]`,
    describe,
    builder: (yargs) =>
      own(extend(yargs).positional('name', { type: 'string', describe: `only this ${kind}` })).options({
        plugin: configOptions.plugin,
        json: outputOptions.json,
      }),
    async handler({ name, plugin, json }) {
      const all = await load({ plugin, set: [] });
      const names = all.map((entry) => entry.name);
      if (name !== undefined && !names.includes(name)) throw unknownName(kind, name, names);
      const shown = name === undefined ? all : all.filter((entry) => entry.name === name);
      printResult({ [`${kind}s`]: shown }, json, () => shown.map(asText).join('\n\n'));
    },
  });
}

/** The positional argument as this command's own: its subcommands do not take it. (yargs's types lack the second parameter.) */
const own = <Given>(yargs: Argv<Given>): Argv<Given> =>
  (yargs as unknown as { global(name: string, value: boolean): Argv<Given> }).global('name', false);

function asText({ name, summary, parameters, ...facts }: Listed): string {
  const known = Object.entries(facts).filter(
    ([, value]) => value !== undefined && value !== false && value !== '',
  );
  const words = known.map(([fact, value]) => (value === true ? fact : `${fact}: ${value}`)).join(', ');
  const title = `${paint(process.stdout, 'bold', name)}${words ? ` (${words})` : ''}`;
  return [title, `  ${summary}`, ...(parameters?.length ? [parametersAsText(parameters)] : [])].join('\n');
}

function parametersAsText(parameters: readonly Parameter[]): string {
  const rows = parameters.map((p) => [
    p.key,
    p.type,
    p.required ? 'required' : defaultAsText(p.default),
    p.description,
  ]);
  return table(['parameter', 'type', 'default', ''], rows).replace(/^/gm, '    ');
}

function defaultAsText(value: unknown): string {
  return value === undefined ? '' : typeof value === 'string' ? value : JSON.stringify(value);
}

/** `rec models`. */
export const models = listing('model', 'list models, their input and parameters', async (options) => {
  const { chooseModel, projectCatalogue, describeSchema, withDefaults } = await loadConfigs();
  const catalogue = await projectCatalogue(options);
  return catalogue.models.all().map(({ name, kind, summary, input, config }) => {
    const { defaults } = chooseModel(catalogue, name, 'rec models');
    return {
      name,
      kind,
      input,
      summary,
      parameters: withDefaults(describeSchema(config, 'model.'), defaults),
    };
  });
});

/** `rec encoders`. */
export const encoders = listing(
  'encoder',
  'list encoders and their parameters; or export one',
  async (options) => {
    const { chooseEncoder, listEncoders, projectCatalogue, describeSchema, withDefaults } =
      await loadConfigs();
    const catalogue = await projectCatalogue(options);
    const describe = async ({ name, family, argument, summary }: EncoderName) => {
      const { entry, defaults } = chooseEncoder(catalogue, name, 'rec encoders');
      return {
        name,
        family: family === name ? undefined : family,
        use: argument && `${name}:<${argument}>`,
        weights: await weightsOf(entry, defaults),
        summary,
        parameters: withDefaults(describeSchema(entry.config, 'encoder.'), defaults),
      };
    };
    return Promise.all(listEncoders(catalogue).map(describe));
  },
  (yargs) => yargs.command(exportEncoder),
);

/** Whether an encoder's weights are on this machine; undefined where it reads none, or is told which by the user. */
async function weightsOf(entry: EncoderDefinition, defaults: readonly Layer[]): Promise<string | undefined> {
  const settings = Object.assign({}, ...defaults.map(({ values }) => values.encoder));
  const config = entry.config.safeParse(settings);
  if (!entry.weights || !config.success || !Object.keys(settings).length) return undefined;
  const { atHand, where } = await entry.weights(config.data);
  return atHand ? where : 'not on this machine';
}

async function loadConfigs() {
  const [catalogue, schema] = await Promise.all([
    import('../configs/catalogue.ts'),
    import('../configs/schema.ts'),
  ]);
  return { ...catalogue, ...schema };
}

/** `rec datasets`. */
export const datasets = listing('dataset', 'list datasets that are known by name', async (options) => {
  if (options.plugin?.length) await (await import('../configs/plugins.ts')).loadPluginsOf(options);
  const { listDatasets } = await import('../data/sources.ts');
  return listDatasets().map(({ name, aliases, variants, synthetic, summary }) => ({
    name,
    synthetic,
    aliases: aliases.length ? aliases : undefined,
    variants: variants.length ? variants : undefined,
    summary,
  }));
});
