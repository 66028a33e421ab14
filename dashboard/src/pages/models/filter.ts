/** Which models a person wants to see. */
import type { Model } from '../../api/types';

export interface Filter {
  text: string;
  formats: readonly string[];
  states: readonly string[];
  tasks: readonly string[];
}

export const ANY: Filter = { text: '', formats: [], states: [], tasks: [] };

const has = (wanted: readonly string[], value: string | null | undefined): boolean =>
  wanted.length === 0 || (value != null && wanted.includes(value));

/** Every word has to be found somewhere: in the name, an alias, the architecture, the quantization, the description. */
export function matching(models: readonly Model[], filter: Filter): Model[] {
  const words = filter.text.toLowerCase().split(/\s+/).filter(Boolean);
  return models.filter((model) => {
    const { name, aliases, architecture, quantization, description } = model;
    const text = [name, ...aliases, architecture, quantization, description]
      .join(' ')
      .toLowerCase();
    return (
      words.every((word) => text.includes(word)) &&
      has(filter.formats, model.format) &&
      has(filter.states, model.state) &&
      has(filter.tasks, model.task)
    );
  });
}

/** The values that a field has, each once. */
export function valuesOf(
  models: readonly Model[],
  field: (model: Model) => string | null | undefined,
): string[] {
  return [...new Set(models.map(field).filter((value) => value != null))].sort();
}
