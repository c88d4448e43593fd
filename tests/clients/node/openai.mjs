// OpenAI's Node SDK: the 6.x line, and the 7.x line where Node is new enough for it.
import { BASE_URL, KEY, assert, check, onEachModel, play } from "./checking.mjs";

const NODE_OF_7 = 22;
const MODEL = "gpt-6.1-terra";
const user = (content) => [{ role: "user", content }];
const parameters = {
  type: "object",
  properties: { city: { type: "string" } },
  required: ["city"],
  additionalProperties: false,
};
const tools = [{ type: "function", function: { name: "weather", parameters, strict: true } }];

async function drive(line, name) {
  const { default: OpenAI } = await import(name);
  const client = new OpenAI({ baseURL: BASE_URL, apiKey: KEY, maxRetries: 0 });
  const ask = (model, content, more) => client.chat.completions.create({ model, messages: user(content), ...more });

  onEachModel("answers whole", async (model) => {
    const answer = await ask(model, "Grüße 🗼 data: [DONE]");
    assert.equal(answer.choices[0].message.content, "You said: Grüße 🗼 data: [DONE]");
    assert.ok(answer._request_id);
  });
  onEachModel("answers as a stream", async (model) => {
    let said = "";
    for await (const chunk of await ask(model, "Hello there", { stream: true }))
      said += chunk.choices[0].delta.content ?? "";
    assert.equal(said, "You said: Hello there");
  });
  onEachModel("the stream helper counts usage", async (model) => {
    const stream = client.chat.completions.stream({
      model,
      messages: user("Hello there"),
      stream_options: { include_usage: true },
    });
    const final = await stream.finalChatCompletion();
    assert.equal(final.choices[0].message.content, "You said: Hello there");
    assert.ok(final.usage.total_tokens > 0);
  });
  onEachModel("a tool loop goes round", async (model) => {
    const question = user('call: weather {"city": "Paris"}');
    const first = await client.chat.completions.create({ model, messages: question, tools });
    const message = first.choices[0].message;
    assert.deepEqual(JSON.parse(message.tool_calls[0].function.arguments), { city: "Paris" });
    const result = { role: "tool", tool_call_id: message.tool_calls[0].id, content: "18 degrees" };
    const second = await client.chat.completions.create({ model, messages: [...question, message, result], tools });
    assert.equal(second.choices[0].finish_reason, "stop");
  });
  check("embeddings are decoded", async () => {
    const answer = await client.embeddings.create({ model: "text-embedding-3-small", input: ["one", "two"] });
    assert.deepEqual(answer.data.map((row) => typeof row.embedding[0]), ["number", "number"]);
  });
  check("models are listed and got", async () => {
    const names = [];
    for await (const model of client.models.list()) names.push(model.id);
    assert.ok(names.includes(`openai/${MODEL}`));
    assert.equal((await client.models.retrieve(`openai/${MODEL}`)).id, `openai/${MODEL}`);
  });
  check("a wrong key is an authentication error", async () => {
    const stranger = new OpenAI({ baseURL: BASE_URL, apiKey: "sk-wrong", maxRetries: 0 });
    await assert.rejects(stranger.models.list(), OpenAI.AuthenticationError);
  });
  check("a rate limit keeps retry-after", async () => {
    const error = await ask("gpt-limited", "Hi").catch((caught) => caught);
    assert.ok(error instanceof OpenAI.RateLimitError);
    const left = Number(error.headers.get("retry-after")); // less than 7 if another client was first
    assert.ok(left >= 1 && left <= 7);
  });
  check("a broken stream throws", async () => {
    const stream = await ask("gpt-broken", "one two three four", { stream: true });
    await assert.rejects(async () => {
      for await (const chunk of stream) assert.ok(chunk);
    }, OpenAI.APIError);
  });
  await play(line);
}

await drive("openai-node-6", "openai");
const ended = process.exitCode;
if (Number(process.versions.node.split(".")[0]) >= NODE_OF_7) {
  await drive("openai-node-7", "openai-7");
  process.exitCode ||= ended;
} else {
  console.log(`openai-node-7  skipped: it needs Node ${NODE_OF_7}, this is ${process.version}`);
}
