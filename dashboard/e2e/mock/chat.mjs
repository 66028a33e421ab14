// `/v1/chat/completions` of the mock: what was said, said again, with thoughts, calls and probabilities where asked for.
import { setTimeout as pause } from 'node:timers/promises';
import { XSS } from './world.mjs';

const chunk = (body, delta, more = {}) => ({
  id: 'chatcmpl-1',
  object: 'chat.completion.chunk',
  model: body.model,
  choices: [{ index: 0, delta, finish_reason: null, ...more }],
});

function answerTo({ messages, response_format: format }) {
  const last = messages.at(-1)?.content ?? '';
  if (format) return '{"answer": "yes", "sure": true}';
  const long = /^(long|count)\D*(\d+)/.exec(last);
  if (long) {
    const numbers = Array.from({ length: Number(long[2]) }, (_, i) => i + 1);
    return numbers.map((n) => (n % 20 ? String(n) : `${n}\n`)).join(' ');
  }
  return `You said: ${last}. And a model may say ${XSS} without it being more than text.`;
}

const logprobsOf = (token) => ({
  content: [
    {
      token,
      logprob: -((token.length * 37) % 23) / 12,
      top_logprobs: [
        { token, logprob: -0.2 },
        { token: ' other', logprob: -1.9 },
        { token: XSS, logprob: -3 },
      ],
    },
  ],
});

export async function chat(body, send, isGone) {
  const isTool = body.messages.at(-1)?.role === 'tool';
  await pause(120);
  send(chunk(body, { role: 'assistant', content: '' }));
  if (body.tools && !isTool) {
    const name = body.tools[0].function.name;
    send(
      chunk(body, {
        tool_calls: [
          { index: 0, id: 'abcdefghi', type: 'function', function: { name, arguments: '' } },
        ],
      }),
    );
    for (const piece of ['{"city":', ' "Bern"}']) {
      await pause(40);
      send(chunk(body, { tool_calls: [{ index: 0, function: { arguments: piece } }] }));
    }
    send(chunk(body, {}, { finish_reason: 'tool_calls' }));
  } else {
    if (body.model.startsWith('qwen')) {
      for (const piece of ['The person', ' wrote', ' something.']) {
        await pause(30);
        send(chunk(body, { reasoning_content: piece }));
      }
    }
    const pieces = answerTo(body).match(/\s*\S+|\s+/g) ?? [];
    for (const piece of pieces) {
      if (isGone()) return;
      await pause(12);
      send(chunk(body, { content: piece }, body.logprobs ? { logprobs: logprobsOf(piece) } : {}));
    }
    send(chunk(body, {}, { finish_reason: 'stop' }));
  }
  send({
    choices: [],
    usage: { prompt_tokens: 24, completion_tokens: 31 },
    timings: { predicted_per_second: 81.3 },
  });
  send('[DONE]');
}
