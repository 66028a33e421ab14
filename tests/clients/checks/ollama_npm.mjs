// Ollama's own npm client: it insists on a last line that is done.

import { NoCall, count, counted, description, load, model, need, tell, url, weather } from './common.mjs';

const { Ollama } = await load('ollama');
const client = new Ollama({ host: url.replace(/\/v1$/, '') });
const parameters = { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] };
const tools = [{ type: 'function', function: { name: 'get_weather', description, parameters } }];
const messages = [{ role: 'user', content: count }];
const asked = [{ role: 'user', content: weather }];
const options = { temperature: 0 };

await tell({
  async chat() {
    const answer = await client.chat({ model, messages, options });
    need([answer.message.content, answer.done, answer.done_reason], [counted, true, 'stop'], 'answer');
    return answer.message.content;
  },
  async stream() {
    let [text, last] = ['', null];
    for await (const part of await client.chat({ model, messages, options, stream: true })) {
      text += part.message.content;
      last = part;
    }
    need([text, last.done, last.done_reason], [counted, true, 'stop'], 'stream');
    return text;
  },
  async tool() {
    const first = await client.chat({ model, messages: asked, tools, options });
    const [call] = first.message.tool_calls ?? [];
    if (!call) throw new NoCall(first.message.content);
    need([call.function.name, call.function.arguments], ['get_weather', { city: 'Paris' }], 'call');
    const result = { role: 'tool', tool_name: 'get_weather', content: '{"temperature": 18, "condition": "sunny"}' };
    const last = await client.chat({ model, messages: [...asked, first.message, result], tools, options });
    return last.message.content;
  },
  async generate() {
    const answer = await client.generate({ model, prompt: count, options });
    need(answer.response, counted, 'response');
    return answer.response;
  },
  async models() {
    const names = (await client.list()).models.map((found) => found.name);
    need(names.some((name) => name.startsWith(model)), true, 'listed');
    const { capabilities } = await client.show({ model });
    need(capabilities.includes('tools'), true, 'capabilities');
    return names;
  },
  async version() {
    const { version } = await client.version();
    need(version.localeCompare('0.13.4', undefined, { numeric: true }) >= 0, true, 'at least 0.13.4');
    return version;
  },
});
