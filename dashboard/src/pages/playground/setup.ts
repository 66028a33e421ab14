/** What a person asks for, and the request that says it. */
import type { Turn } from './turn';

export interface Sampling {
  temperature?: number;
  top_p?: number;
  top_k?: number;
  min_p?: number;
  repetition_penalty?: number;
  presence_penalty?: number;
  frequency_penalty?: number;
  max_tokens?: number;
  seed?: number;
}

export interface Setup {
  system: string;
  sampling: Sampling;
  /** JSON, as it was typed: a list of tools. */
  tools: string;
  /** JSON, as it was typed: a schema that answers keep to. */
  schema: string;
  logprobs: boolean;
}

export const PLAIN: Setup = { system: '', sampling: {}, tools: '', schema: '', logprobs: false };

/** How many alternatives of a token are asked for. */
const ALTERNATIVES = 5;

export type Body = Record<string, unknown>;

/** The request's body; texts that are no JSON are left out, `problemOf` tells of them. */
export function bodyOf(setup: Setup, model: string, turns: readonly Turn[]): Body {
  const tools = parsed(setup.tools);
  const schema = parsed(setup.schema);
  const system = setup.system.trim() === '' ? [] : [{ role: 'system', content: setup.system }];
  return {
    model,
    messages: [...system, ...turns.flatMap(messageOf)],
    stream: true,
    stream_options: { include_usage: true },
    ...setup.sampling,
    ...(Array.isArray(tools) && tools.length > 0 && { tools }),
    ...(isObject(schema) && {
      response_format: { type: 'json_schema', json_schema: { name: 'answer', schema } },
    }),
    ...(setup.logprobs && { logprobs: true, top_logprobs: ALTERNATIVES }),
  };
}

function messageOf(turn: Turn): object[] {
  if (turn.role === 'user') return [{ role: 'user', content: turn.text }];
  if (turn.role === 'tool') {
    return [{ role: 'tool', tool_call_id: turn.callId, content: turn.text }];
  }
  const { text, calls, state } = turn.answer;
  // Nothing came of it that the model could be told.
  if (text === '' && calls.length === 0) return [];
  // Half a call is none.
  if (state !== 'done') return text === '' ? [] : [{ role: 'assistant', content: text }];
  const tool_calls = calls.map(({ id, name, json }) => ({
    id,
    type: 'function',
    function: { name, arguments: json },
  }));
  return [
    {
      role: 'assistant',
      content: text === '' ? null : text,
      ...(tool_calls.length > 0 && { tool_calls }),
    },
  ];
}

const isObject = (value: unknown): value is object =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

function parsed(text: string): unknown {
  try {
    return text.trim() === '' ? undefined : JSON.parse(text);
  } catch {
    return undefined;
  }
}

export type Problem = 'json' | 'list' | 'object';

/** What is wrong with a text that should be JSON of a kind. */
export function problemOf(text: string, kind: 'list' | 'object'): Problem | null {
  if (text.trim() === '') return null;
  const value = parsed(text);
  if (value === undefined) return 'json';
  if (kind === 'list') return Array.isArray(value) ? null : 'list';
  return isObject(value) ? null : 'object';
}
