import { unknownName } from '../common/errors.ts';
import { demoLayout } from './demo.ts';
import { powerLawLayout } from './power-law.ts';
import type { Layout } from './readers/layout.ts';

const makers: Record<string, (parameters: Record<string, unknown>) => Layout> = {
  demo: demoLayout,
  'power-law': powerLawLayout,
};

/** The generator of that name, as a layout without files. */
export function generators(name: string, parameters: Record<string, unknown> = {}): Layout {
  const make = makers[name];
  if (!make) throw unknownName('generator', name, Object.keys(makers));
  return make(parameters);
}
