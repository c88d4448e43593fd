// Asks the gateway for the figures. A key that was typed in stays in this tab's session storage and goes into a header.

const KEPT = "thriftgate-key";

export class KeyWanted extends Error {}

export const hasKey = () => sessionStorage.getItem(KEPT) !== null;
export const keepKey = (key) => sessionStorage.setItem(KEPT, key);
export const forgetKey = () => sessionStorage.removeItem(KEPT);

/** Throws KeyWanted for 401 and 403, Error with the gateway's own words for anything else that is no answer. */
export async function figures(service, days) {
  const asked = new URLSearchParams();
  if (service) asked.set("service", service);
  if (days) asked.set("from", days[0]), asked.set("to", days[1]);
  const key = sessionStorage.getItem(KEPT);
  const headers = key === null ? {} : { authorization: `Bearer ${key}` };
  const answer = await fetch(`/v1/thriftgate/figures?${asked}`, { headers, cache: "no-store", signal: AbortSignal.timeout(20_000) });
  if (answer.ok) return answer.json();
  const why = await answer.json().then((body) => body.error.message, () => `the gateway answered ${answer.status}`);
  throw answer.status === 401 || answer.status === 403 ? new KeyWanted(why) : new Error(why);
}

const DAY_MS = 86_400_000;

/** The first and last day of a range by its name, null for the gateway's own choice: this month. */
export function daysOf(range, now = Date.now()) {
  const day = (ms) => new Date(ms).toISOString().slice(0, 10);
  if (range === "today") return [day(now), day(now)];
  if (range === "week") return [day(now - 6 * DAY_MS), day(now)];
  if (range !== "last-month") return null;
  const today = new Date(now);
  const first = Date.UTC(today.getUTCFullYear(), today.getUTCMonth() - 1, 1);
  const last = Date.UTC(today.getUTCFullYear(), today.getUTCMonth(), 1) - DAY_MS;
  return [day(first), day(last)];
}
