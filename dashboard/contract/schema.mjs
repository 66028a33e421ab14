// Words for schemas, so that the contract beside this file reads like a list of fields.

export const string = { type: 'string' };
export const boolean = { type: 'boolean' };
export const integer = { type: 'integer' };
export const number = { type: 'number' };
export const anything = {};

export const list = (items) => ({ type: 'array', items });
export const map = (values) => ({ type: 'object', additionalProperties: values });
export const words = (...names) => ({ type: 'string', enum: names });
export const ref = (name) => ({ $ref: `#/components/schemas/${name}` });

/** Always there, and null where it is not known. */
export const maybe = (schema) =>
  typeof schema.type === 'string' && !schema.enum
    ? { ...schema, type: [schema.type, 'null'] }
    : { oneOf: [schema, { type: 'null' }] };

/** All fields are always there. */
export const object = (properties) => ({
  type: 'object',
  properties,
  required: Object.keys(properties),
});

/** A request's body: fields that may be left out stand in `optional`. */
export const body = (required, optional = {}) => ({
  type: 'object',
  properties: { ...required, ...optional },
  required: Object.keys(required),
  additionalProperties: false,
});

const named = (where, names, required) =>
  Object.entries(names).map(([name, schema]) => ({ name, in: where, required, schema }));

/** One operation: `answer` is a schema; `path` and `query` are parameters by name. */
export function operation({ id, path = {}, query = {}, request, answer, events }) {
  const content = events
    ? { 'text/event-stream': { schema: string, 'x-events': events } }
    : { 'application/json': { schema: answer } };
  return {
    operationId: id,
    parameters: [...named('path', path, true), ...named('query', query, false)],
    ...(request && {
      requestBody: { required: true, content: { 'application/json': { schema: request } } },
    }),
    responses: {
      200: { description: 'the answer', content },
      default: {
        description: 'an error',
        content: { 'application/json': { schema: ref('ErrorBody') } },
      },
    },
  };
}
