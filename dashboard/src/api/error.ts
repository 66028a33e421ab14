import { texts } from '../texts';

/** What the server said of a request that it refused, or why it could not be asked. */
export class ApiError extends Error {
  override name = 'ApiError';

  constructor(
    message: string,
    readonly status: number,
    readonly code: string | null = null,
    readonly param: string | null = null,
    readonly retryable = false,
  ) {
    super(message);
  }
}

interface Said {
  message?: unknown;
  code?: unknown;
  param?: unknown;
  retryable?: unknown;
}

const textOr = <T>(value: unknown, other: T): string | T =>
  typeof value === 'string' && value !== '' ? value : other;

/** The error in an answer's body; `body` may be anything. */
export function errorOf(status: number, body: unknown): ApiError {
  const said: Said = (body as { error?: Said } | null)?.error ?? {};
  return new ApiError(
    textOr(said.message, texts.errors.status(status)),
    status,
    textOr(said.code, null),
    textOr(said.param, null),
    said.retryable === true,
  );
}

/** The error of a response, whose body is read. */
export async function errorIn(response: Response): Promise<ApiError> {
  const body: unknown = await response.json().catch(() => null);
  return errorOf(response.status, body);
}

/** One sentence for a person, whatever was thrown. */
export function messageOf(error: unknown): string {
  if (error instanceof ApiError) return error.message;
  if (error instanceof TypeError) return texts.errors.unreachable;
  return error instanceof Error ? error.message : String(error);
}

export function isAbort(error: unknown): boolean {
  return error instanceof DOMException && error.name === 'AbortError';
}
