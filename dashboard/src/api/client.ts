/** The typed client: paths, parameters, bodies and answers are the OpenAPI document's. */
import createClient, { type Middleware } from 'openapi-fetch';
import { errorIn, errorOf } from './error';
import { keyState, wantKey } from './key';
import type { paths } from './schema';

/** What each request says of who asks. */
export function authorization(): Record<string, string> {
  const { key } = keyState();
  return key === null ? {} : { authorization: `Bearer ${key}` };
}

/** Has the person asked for a key where the server wants one. */
export async function checkAccess(response: Response): Promise<void> {
  if (response.status === 401) wantKey((await errorIn(response.clone())).message);
}

const access: Middleware = {
  onRequest({ request }) {
    for (const [name, value] of Object.entries(authorization())) request.headers.set(name, value);
    return request;
  },
  async onResponse({ response }) {
    await checkAccess(response);
  },
};

export const api = createClient<paths>({ baseUrl: window.location.origin });
api.use(access);

interface Answer<T> {
  data?: T;
  error?: unknown;
  response: Response;
}

/** The answer's data; an error of the server is thrown as an `ApiError`. */
export async function dataOf<T>(asked: Promise<Answer<T>>): Promise<T> {
  const { data, error, response } = await asked;
  if (!response.ok || data === undefined) throw errorOf(response.status, error);
  return data;
}
