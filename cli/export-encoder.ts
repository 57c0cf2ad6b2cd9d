import { formatBytes } from '../common/bytes.ts';
import type { ExportedEncoder } from '../encoders/contract.ts';
import { command } from './command.ts';
import { jobsOf } from './job.ts';
import { configOptions, configurationOf, encoderOptions, outputOptions, text } from './options.ts';
import { printResult } from './output.ts';

const jobs = jobsOf<typeof import('./jobs.ts')>(new URL('./jobs.ts', import.meta.url));

/** `rec encoders export`: an encoder as files that other programs load. */
export const exportEncoder = command({
  command: 'export',
  describe: 'write an encoder for transformers, sentence-transformers and onnxruntime',
  builder: (yargs) =>
    yargs
      .options({
        encoder: { ...encoderOptions.encoder, demandOption: true },
        out: { ...text('the folder to write, a new one'), demandOption: true },
        config: configOptions.config,
        set: configOptions.set,
        plugin: configOptions.plugin,
        ...outputOptions,
      })
      .epilogue(
        'model.onnx takes input_ids and attention_mask [batch, length] and gives embedding [batch, dimensions], pooled and ' +
          'scaled as the encoder is set; --set encoder.precision=int8 makes it smaller and faster.',
      ),
  async handler({ out, json, quiet, ...rest }) {
    const request = { options: configurationOf(rest), out };
    const exported = await jobs('exportEncoder', request, quiet);
    printResult(exported, json, () => exportedAsText(exported));
  },
});

function exportedAsText({ folder, files, agreement }: ExportedEncoder): string {
  return [
    ...files.map(({ file, bytes }) => `${folder}/${file}  ${formatBytes(bytes)}`),
    `model.onnx agrees with the weights: cosine ${agreement.toFixed(6)} at least, on texts of several lengths`,
  ].join('\n');
}
