// Anthropic's Node SDK against /v1/messages, on every provider.
import Anthropic from "@anthropic-ai/sdk";
import { KEY, URL, assert, check, onEachModel, play } from "./checking.mjs";

const client = new Anthropic({ baseURL: URL, apiKey: KEY, maxRetries: 0 });
const hello = (model) => ({ model, max_tokens: 100, messages: [{ role: "user", content: "Hello there" }] });
const schema = { type: "object", properties: { city: { type: "string" } }, required: ["city"] };
const tools = [{ name: "weather", input_schema: schema }];

onEachModel("answers whole", async (model) => {
  const message = await client.messages.create(hello(model));
  assert.equal(message.content.filter((block) => block.type === "text")[0].text, "You said: Hello there");
  assert.equal(message.stop_reason, "end_turn");
});
onEachModel("answers as a stream", async (model) => {
  assert.equal(await client.messages.stream(hello(model)).finalText(), "You said: Hello there");
});
onEachModel("streamed tool calls are put together", async (model) => {
  const messages = [{ role: "user", content: 'call: weather {"city": "Paris"}' }];
  const message = await client.messages.stream({ model, max_tokens: 100, messages, tools }).finalMessage();
  const use = message.content.find((block) => block.type === "tool_use");
  assert.deepEqual([message.stop_reason, use.input], ["tool_use", { city: "Paris" }]);
});
check("a wrong key is an authentication error", async () => {
  const stranger = new Anthropic({ baseURL: URL, apiKey: "sk-wrong", maxRetries: 0 });
  await assert.rejects(stranger.messages.create(hello("local")), Anthropic.AuthenticationError);
});

await play("anthropic-node");
