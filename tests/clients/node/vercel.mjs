// Vercel's AI SDK 6: its OpenAI-compatible provider, and its OpenAI provider on chat and (its default) on responses.
import { createOpenAI } from "@ai-sdk/openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { generateObject, generateText, jsonSchema, stepCountIs, streamText, tool } from "ai";
import { BASE_URL, KEY, assert, onEachModel, play } from "./checking.mjs";

globalThis.AI_SDK_LOG_WARNINGS = false;
const compatible = createOpenAICompatible({
  name: "thriftgate",
  baseURL: BASE_URL,
  apiKey: KEY,
  supportsStructuredOutputs: true,
});
const openai = createOpenAI({ baseURL: BASE_URL, apiKey: KEY });
const town = {
  type: "object",
  properties: { city: { type: "string" } },
  required: ["city"],
  additionalProperties: false,
};

onEachModel("generateText", async (model) => {
  const { text, usage } = await generateText({ model: compatible(model), prompt: "Hello there", maxRetries: 0 });
  assert.equal(text, "You said: Hello there");
  assert.ok(usage.totalTokens > 0);
});
onEachModel("streamText", async (model) => {
  const { textStream } = streamText({ model: compatible(model), prompt: "Hello there", maxRetries: 0 });
  let said = "";
  for await (const part of textStream) said += part;
  assert.equal(said, "You said: Hello there");
});
onEachModel("generateObject", async (model) => {
  const { object } = await generateObject({
    model: compatible(model),
    schema: jsonSchema(town),
    prompt: 'say: {"city": "Lyon"}',
    maxRetries: 0,
  });
  assert.deepEqual(object, { city: "Lyon" });
});
onEachModel("a tool is called in a loop", async (model) => {
  const asked = [];
  const weather = tool({
    description: "The weather in a city.",
    inputSchema: jsonSchema(town),
    execute: async ({ city }) => {
      asked.push(city);
      return "18 degrees";
    },
  });
  const { steps } = await generateText({
    model: compatible(model),
    prompt: 'call: weather {"city": "Paris"}',
    tools: { weather },
    stopWhen: stepCountIs(3),
    maxRetries: 0,
  });
  assert.deepEqual(asked, ["Paris"]);
  assert.equal(steps.length, 2);
});
onEachModel("openai.chat", async (model) => {
  const { text } = await generateText({ model: openai.chat(model), prompt: "Hello there", maxRetries: 0 });
  assert.equal(text, "You said: Hello there");
});
onEachModel("openai, which is the responses API", async (model) => {
  const { text } = await generateText({ model: openai(model), prompt: "Hello there", maxRetries: 0 });
  assert.equal(text, "You said: Hello there");
});
onEachModel("openai, streamed responses", async (model) => {
  const { textStream } = streamText({ model: openai(model), prompt: "Hello there", maxRetries: 0 });
  let said = "";
  for await (const part of textStream) said += part;
  assert.equal(said, "You said: Hello there");
});

await play("vercel-ai");
