// What every Node program here shares: where the gateway is, one line a check, and the exit code.
import assert from "node:assert/strict";

export const URL = process.env.GATEWAY_URL;
export const BASE_URL = `${URL}/v1`;
export const KEY = process.env.GATEWAY_KEY;
export const MODELS = process.env.MODELS.split(",");
export { assert };

const checks = [];

export function check(name, action) {
  checks.push([name, action]);
}

export function onEachModel(name, action) {
  for (const model of MODELS) checks.push([`${name} [${model}]`, () => action(model)]);
}

export async function play(client) {
  let failed = 0;
  for (const [name, action] of checks) {
    let verdict = "ok";
    try {
      await action();
    } catch (error) {
      failed += 1;
      verdict = `FAILED  ${String(error).split("\n")[0]}`;
      console.error(error);
    }
    console.log(`${client.padEnd(14)} ${name.padEnd(58)} ${verdict}`);
  }
  process.exitCode = failed || !checks.length ? 1 : 0;
  checks.length = 0;
}
