import { compile, type TopLevelSpec } from 'vega-lite';
import type { Report } from './report.ts';
import { bucketNames } from './tables.ts';

/** A chart as Vega, which a page draws without Vega-Lite. It has the signal `query`: words that a system's name must have. */
export type Chart = ReturnType<typeof compile>['spec'];

const size = { width: 380, height: 240 };
const fraction = { format: '.3~f' };

/**
 * One chart a dataset: training loss and validation metric by epoch, the same metric by wall time, and the test metric on rare and
 * frequent targets.
 */
export function chartsOf(report: Report): { dataset: string; chart: Chart }[] {
  return report.datasets.map(({ name }, d) => ({ dataset: name, chart: compile(chartOf(report, d)).spec }));
}

function chartOf(report: Report, d: number): TopLevelSpec {
  const names = report.systems.map(({ name }) => name);
  const color = {
    field: 'system',
    type: 'nominal' as const,
    title: null,
    scale: { domain: names, scheme: (names.length > 10 ? 'tableau20' : 'tableau10') as 'tableau10' },
    legend: { orient: 'top' as const, columns: 4, labelLimit: 400, symbolType: 'circle' as const },
  };
  const opacity = { condition: { param: 'picked', value: 1 }, value: 0.08 };
  const wanted = { filter: "query == '' || indexof(lower(datum.system), lower(query)) >= 0" };
  const curves = report.systems.flatMap(({ name, results }) =>
    (results[d]?.curves ?? []).flatMap(({ seed, points }) =>
      points.map((point) => ({ system: name, seed, ...point })),
    ),
  );
  const metric = report.systems.flatMap(({ results }) => results[d]?.curves ?? [])[0]?.metric ?? '';
  const line = (x: 'epoch' | 'seconds', y: 'loss' | 'valid', titles: [x: string, y: string]) => ({
    ...size,
    title: `${titles[1]} by ${x === 'epoch' ? 'epoch' : 'time'}`,
    transform: [wanted],
    mark: { type: 'line' as const, point: { size: 12 }, tooltip: true },
    encoding: {
      x: { field: x, type: 'quantitative' as const, title: titles[0], axis: { tickMinStep: 1 } },
      y: { field: y, type: 'quantitative' as const, title: titles[1], scale: { zero: y === 'valid' } },
      detail: { field: 'seed' },
      color,
      opacity,
    },
  });
  const [k] = report.metrics.map((name) => name.split('@')[1]);
  const bars = report.systems.flatMap(({ name, results }) =>
    Object.entries(results[d]?.buckets ?? {}).flatMap(([bucket, { rows, metrics }]) =>
      rows ? [{ system: name, bucket, rows, value: metrics[`ndcg@${k}`] }] : [],
    ),
  );
  return {
    data: { values: curves },
    params: [{ name: 'query', value: '' }],
    config: { axis: { labelFontSize: 11, titleFontWeight: 'normal' }, view: { stroke: '#ddd' } },
    vconcat: [
      {
        hconcat: [
          { ...line('epoch', 'loss', ['epoch', 'training loss']), params: [pickedByLegend] },
          line('epoch', 'valid', ['epoch', `validation ${metric}`]),
        ],
      },
      {
        hconcat: [
          line('seconds', 'valid', ['seconds of training and validation', `validation ${metric}`]),
          {
            ...size,
            title: `test ndcg@${k} by training rows of the target`,
            data: { values: bars },
            transform: [wanted],
            mark: { type: 'bar', tooltip: true },
            encoding: {
              x: {
                field: 'bucket',
                type: 'nominal',
                sort: bucketNames(report),
                title: null,
                axis: { labelAngle: 0 },
              },
              xOffset: { field: 'system', sort: names },
              y: { field: 'value', type: 'quantitative', title: `test ndcg@${k}`, axis: fraction },
              color,
              opacity,
            },
          },
        ],
      },
    ],
  };
}

const pickedByLegend = {
  name: 'picked',
  select: { type: 'point' as const, fields: ['system'] },
  bind: 'legend' as const,
};
