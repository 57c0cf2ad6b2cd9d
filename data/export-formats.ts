// Imported by the command line, which starts before the readers and DuckDB do: nothing else belongs here.

/** The layouts that can be written, each of which `--dataset FOLDER` reads again. */
export const exportFormats = {
  recbole: "RecBole's atomic files: X.inter with user, item, rating and timestamp, X.item",
  'recbole-split':
    'RecBole benchmark files: X.train.inter, X.valid.inter and X.test.inter with histories, X.data_maps',
  parquet: 'Parquet: X.parquet with interactions, meta_X.parquet with items',
  csv: "Amazon Reviews 2023's rating_only: X.csv, meta_X.jsonl",
  'csv-histories':
    "Amazon Reviews 2023's benchmark with histories: X.train.csv, X.valid.csv, X.test.csv, meta_X.jsonl",
} as const;
export type ExportFormat = keyof typeof exportFormats;
