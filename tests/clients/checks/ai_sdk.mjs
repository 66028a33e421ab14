// Vercel's AI SDK with its provider for OpenAI-compatible servers.

import { NoCall, count, counted, description, load, model, need, tell, url, weather } from './common.mjs';

globalThis.AI_SDK_LOG_WARNINGS = false;
const ai = await load('ai');
const { createOpenAICompatible } = await load('@ai-sdk/openai-compatible');
const { z } = await load('zod');
const provider = createOpenAICompatible({
  name: 'impetus', baseURL: url, apiKey: 'none', includeUsage: true, supportsStructuredOutputs: true,
});
const common = { model: provider(model), temperature: 0, maxRetries: 0 };

await tell({
  async chat() {
    const { text } = await ai.generateText({ ...common, prompt: count });
    need(text, counted, 'text');
    return text;
  },
  async stream() {
    let failure;
    const answer = ai.streamText({ ...common, prompt: count, onError: ({ error }) => (failure = error) });
    let text = '';
    for await (const piece of answer.textStream) text += piece;
    if (failure) throw failure;
    need([text, await answer.finishReason], [counted, 'stop'], 'answer');
    return text;
  },
  async tool() {
    const seen = [];
    const execute = async (given) => {
      seen.push(given);
      return { temperature: 18, condition: 'sunny' };
    };
    const tools = { get_weather: ai.tool({ description, inputSchema: z.object({ city: z.string() }), execute }) };
    const stopWhen = (ai.stepCountIs ?? ai.isStepCount)(3);
    const { text } = await ai.generateText({ ...common, prompt: weather, tools, stopWhen });
    if (seen.length === 0) throw new NoCall(text);
    need(seen[0], { city: 'Paris' }, 'arguments');
    return text;
  },
  async structured() {
    const schema = z.object({ name: z.string(), age: z.number().int() });
    const prompt = 'Give me a person named Ada aged 36 as JSON.';
    const { output } = await ai.generateText({ ...common, prompt, output: ai.Output.object({ schema }) });
    need(output, { name: 'Ada', age: 36 }, 'output');
    return output;
  },
});
