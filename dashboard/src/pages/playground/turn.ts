/** A chat, and what each piece of a streamed answer adds to it. */

export interface Call {
  id: string;
  name: string;
  /** The arguments, as far as they came. */
  json: string;
}

export interface Token {
  text: string;
  logprob: number;
  others: readonly { text: string; logprob: number }[];
}

export interface Answer {
  state: 'waiting' | 'streaming' | 'done' | 'stopped' | 'failed';
  text: string;
  reasoning: string;
  calls: readonly Call[];
  tokens: readonly Token[];
  error: string | null;
  finish: string | null;
  /** Milliseconds from the request on. */
  firstTokenMs: number | null;
  tookMs: number | null;
  promptTokens: number | null;
  completionTokens: number | null;
  tokensPerSecond: number | null;
}

export type Turn =
  | { role: 'user'; text: string }
  | { role: 'assistant'; answer: Answer }
  | { role: 'tool'; callId: string; text: string };

export const EMPTY: Answer = {
  state: 'waiting',
  text: '',
  reasoning: '',
  calls: [],
  tokens: [],
  error: null,
  finish: null,
  firstTokenMs: null,
  tookMs: null,
  promptTokens: null,
  completionTokens: null,
  tokensPerSecond: null,
};

/** Tokens beyond these are not kept with their alternatives. */
const MOST_TOKENS = 4096;

interface Logprob {
  token: string;
  logprob: number;
  top_logprobs?: { token: string; logprob: number }[];
}

/** A chunk of `/v1/chat/completions`, as far as it is looked at. */
export interface Chunk {
  choices?: {
    delta?: {
      content?: string | null;
      reasoning_content?: string | null;
      tool_calls?: {
        index: number;
        id?: string;
        function?: { name?: string; arguments?: string };
      }[];
    };
    logprobs?: { content?: Logprob[] | null } | null;
    finish_reason?: string | null;
  }[];
  usage?: { prompt_tokens: number; completion_tokens: number } | null;
  timings?: { predicted_per_second?: number | null } | null;
  error?: { message: string };
}

export function withChunk(answer: Answer, chunk: Chunk, sinceMs: number): Answer {
  if (chunk.error) return failed(answer, chunk.error.message);
  const choice = chunk.choices?.[0];
  const delta = choice?.delta;
  const content = delta?.content ?? '';
  const reasoning = delta?.reasoning_content ?? '';
  const isSomething = content !== '' || reasoning !== '' || delta?.tool_calls !== undefined;
  return {
    ...answer,
    state: isSomething ? 'streaming' : answer.state,
    text: answer.text + content,
    reasoning: answer.reasoning + reasoning,
    calls: withCalls(answer.calls, delta?.tool_calls ?? []),
    tokens: withTokens(answer.tokens, choice?.logprobs?.content ?? []),
    finish: choice?.finish_reason ?? answer.finish,
    firstTokenMs: answer.firstTokenMs ?? (isSomething ? sinceMs : null),
    promptTokens: chunk.usage?.prompt_tokens ?? answer.promptTokens,
    completionTokens: chunk.usage?.completion_tokens ?? answer.completionTokens,
    tokensPerSecond: chunk.timings?.predicted_per_second ?? answer.tokensPerSecond,
  };
}

type CallDelta = NonNullable<
  NonNullable<NonNullable<Chunk['choices']>[number]['delta']>['tool_calls']
>;

function withCalls(calls: readonly Call[], deltas: CallDelta): readonly Call[] {
  if (deltas.length === 0) return calls;
  const all = [...calls];
  for (const { index, id, function: called } of deltas) {
    const known = all[index] ?? { id: '', name: '', json: '' };
    all[index] = {
      id: id ?? known.id,
      name: known.name + (called?.name ?? ''),
      json: known.json + (called?.arguments ?? ''),
    };
  }
  return all;
}

function withTokens(tokens: readonly Token[], more: readonly Logprob[]): readonly Token[] {
  if (more.length === 0 || tokens.length >= MOST_TOKENS) return tokens;
  const others = ({ top_logprobs }: Logprob): Token['others'] =>
    (top_logprobs ?? []).map(({ token, logprob }) => ({ text: token, logprob }));
  return [
    ...tokens,
    ...more.map((one) => ({ text: one.token, logprob: one.logprob, others: others(one) })),
  ];
}

export function failed(answer: Answer, message: string): Answer {
  return { ...answer, state: 'failed', error: message };
}

export function ended(answer: Answer, state: 'done' | 'stopped', tookMs: number): Answer {
  return answer.state === 'failed' ? answer : { ...answer, state, tookMs };
}

/** The turns with the last answer changed. */
export function withAnswer(
  turns: readonly Turn[],
  change: (answer: Answer) => Answer,
): readonly Turn[] {
  const last = turns.at(-1);
  if (last?.role !== 'assistant') return turns;
  return [...turns.slice(0, -1), { role: 'assistant', answer: change(last.answer) }];
}
