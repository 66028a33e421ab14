// The official npm client: helpers that check what a stream must have, and tools that run.

import { NoCall, count, counted, description, load, model, need, tell, url, weather } from './common.mjs';

const { default: OpenAI } = await load('openai');
const client = new OpenAI({ baseURL: url, apiKey: 'none', timeout: 60_000, maxRetries: 0 });
const parameters = { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] };
const messages = [{ role: 'user', content: count }];

await tell({
  async chat() {
    const answer = await client.chat.completions.create({ model, messages, temperature: 0 });
    need(answer.choices[0].message.content, counted, 'content');
    return answer.choices[0].message.content;
  },
  async stream() {
    const events = client.chat.completions.stream({ model, messages, temperature: 0 });
    const [choice] = (await events.finalChatCompletion()).choices;
    need([choice.message.content, choice.finish_reason], [counted, 'stop'], 'choice');
    return choice.message.content;
  },
  async tool() {
    const seen = [];
    const run = async (given) => {
      seen.push(given);
      return '{"temperature": 18, "condition": "sunny"}';
    };
    const tool = { name: 'get_weather', description, parameters, parse: JSON.parse, function: run };
    const asked = { model, messages: [{ role: 'user', content: weather }], stream: true, temperature: 0 };
    const tools = [{ type: 'function', function: tool }];
    const runner = client.chat.completions.runTools({ ...asked, tools }, { maxChatCompletions: 3 });
    const text = await runner.finalContent();
    if (seen.length === 0) throw new NoCall(text);
    need(seen[0], { city: 'Paris' }, 'arguments');
    return text;
  },
  async responses() {
    const events = client.responses.stream({ model, input: count, temperature: 0 });
    const answer = await events.finalResponse();
    need([answer.status, answer.output_text], ['completed', counted], 'answer');
    return answer.output_text;
  },
});
