import { describe, expect, it } from 'vitest';
import { bodyOf, PLAIN, problemOf } from './setup';
import { type Answer, type Chunk, EMPTY, ended, type Turn, withChunk } from './turn';

const answerOf = (chunks: Chunk[]): Answer =>
  chunks.reduce((answer, chunk, i) => withChunk(answer, chunk, i * 10), EMPTY);

const delta = (more: object): Chunk => ({ choices: [{ delta: more }] });

describe('a streamed answer', () => {
  it('is the pieces together', () => {
    const answer = answerOf([
      delta({ role: 'assistant' }),
      delta({ reasoning_content: 'hm' }),
      delta({ content: 'a' }),
      delta({ content: 'b' }),
      { choices: [{ delta: {}, finish_reason: 'stop' }] },
      { choices: [], usage: { prompt_tokens: 3, completion_tokens: 2 } },
    ]);
    expect(answer).toMatchObject({
      state: 'streaming',
      text: 'ab',
      reasoning: 'hm',
      finish: 'stop',
      firstTokenMs: 10,
      promptTokens: 3,
      completionTokens: 2,
    });
  });

  it('has calls by their index', () => {
    const call = (index: number, more: object): Chunk =>
      delta({ tool_calls: [{ index, ...more }] });
    const { calls } = answerOf([
      call(0, { id: 'x', function: { name: 'add', arguments: '' } }),
      call(0, { function: { arguments: '{"a":' } }),
      call(1, { id: 'y', function: { name: 'sub', arguments: '{}' } }),
      call(0, { function: { arguments: '1}' } }),
    ]);
    expect(calls).toEqual([
      { id: 'x', name: 'add', json: '{"a":1}' },
      { id: 'y', name: 'sub', json: '{}' },
    ]);
  });

  it('that failed stays failed', () => {
    const answer = answerOf([delta({ content: 'a' }), { error: { message: 'gone' } }]);
    expect(ended(answer, 'done', 5)).toMatchObject({ state: 'failed', error: 'gone', text: 'a' });
  });
});

describe('a request', () => {
  const said: Turn[] = [
    { role: 'user', text: 'hi' },
    {
      role: 'assistant',
      answer: { ...EMPTY, state: 'done', calls: [{ id: 'x', name: 'f', json: '{}' }] },
    },
    { role: 'tool', callId: 'x', text: '1' },
    { role: 'assistant', answer: { ...EMPTY, state: 'failed' } },
  ];

  it('tells what was said, without what came to nothing', () => {
    expect(bodyOf({ ...PLAIN, system: 'be brief' }, 'm', said).messages).toEqual([
      { role: 'system', content: 'be brief' },
      { role: 'user', content: 'hi' },
      {
        role: 'assistant',
        content: null,
        tool_calls: [{ id: 'x', type: 'function', function: { name: 'f', arguments: '{}' } }],
      },
      { role: 'tool', tool_call_id: 'x', content: '1' },
    ]);
  });

  it('has what was set and nothing else', () => {
    expect(
      bodyOf({ ...PLAIN, sampling: { top_k: 4 }, tools: 'no', schema: '{"a":1}' }, 'm', []),
    ).toEqual({
      model: 'm',
      messages: [],
      stream: true,
      stream_options: { include_usage: true },
      top_k: 4,
      response_format: { type: 'json_schema', json_schema: { name: 'answer', schema: { a: 1 } } },
    });
  });

  it.each([
    ['', 'list', null],
    ['[]', 'list', null],
    ['{}', 'list', 'list'],
    ['{}', 'object', null],
    ['[]', 'object', 'object'],
    ['{', 'object', 'json'],
  ] as const)('%j as %s: %s', (text, kind, expected) => {
    expect(problemOf(text, kind)).toBe(expected);
  });
});
