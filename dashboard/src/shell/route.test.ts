import { describe, expect, it } from 'vitest';
import { hrefOf, type Route, routeOf } from './route';

describe('routes', () => {
  it.each<[string, Route]>([
    ['', { page: 'overview', rest: [] }],
    ['#/', { page: 'overview', rest: [] }],
    ['#/models', { page: 'models', rest: [] }],
    ['#/models/a%2Fb%3AQ4', { page: 'models', rest: ['a/b:Q4'] }],
    ['#/nowhere', { page: 'overview', rest: [] }],
    ['#/logs/%E0%A4', { page: 'logs', rest: ['%E0%A4'] }],
  ])('%s', (hash, expected) => expect(routeOf(hash)).toEqual(expected));

  it('a model name with everything in it comes back', () => {
    const name = 'owner/модель:Q4 <b>#?%';
    expect(routeOf(hrefOf('models', name))).toEqual({ page: 'models', rest: [name] });
  });
});
