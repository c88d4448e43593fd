// The tables: what was divided, the budgets, the latest requests.

import { byId, el, money, put } from "/ui/dom.js";
import { clock, count, dayAndClock, seconds, share, tokens, words } from "/ui/format.js";

export const DIVISIONS = ["service", "tier", "model", "provider", "cache", "outcome"];

export function showDivision(shown, by) {
  put("division-name", by);
  const parts = shown[`by_${by}`];
  const most = Math.max(...parts.map((part) => Number(part.total_usd)), 0);
  put("division", ...parts.map((part) => {
    const bar = el("i", { class: "measure" });
    bar.style.width = `${most > 0 ? (100 * Number(part.total_usd)) / most : 0}%`;
    return el("tr", { data: { name: part.name } },
      el("td", { class: "name" }, el("span", { title: part.name }, part.name), bar),
      el("td", { class: "num" }, count(part.requests)),
      el("td", { class: "num wide" }, `${tokens(part.input_tokens)} / ${tokens(part.output_tokens)}`),
      el("td", { class: "num" }, money(part.total_usd)),
      el("td", { class: "num quiet" }, money(part.net_saved_usd)));
  }));
  if (!parts.length) put("division", el("tr", {}, el("td", { colSpan: 5, class: "none" }, "Nothing on these days.")));
}

export function showBudgets(shown) {
  put("budgets-under", shown.budgets_unavailable ? `not known now: ${shown.budgets_unavailable}` : "used and reserved, of the limit");
  const limited = shown.budgets.filter((budget) => budget.usd.limit !== null || budget.tokens.limit !== null);
  put("budgets", ...limited.flatMap((budget) => ["usd", "tokens"].filter((kind) => budget[kind].limit !== null).map((kind) => budgetLine(budget, kind))));
  if (!limited.length) put("budgets", el("li", { class: "none" }, "No service has a budget."));
}

function budgetLine(budget, kind) {
  const { limit, used } = budget[kind];
  const of = (amount) => (amount === null ? "?" : kind === "usd" ? money(amount) : `${count(amount)} tokens`);
  const level = budget.level ?? "unknown";
  const bar = el("i", { class: "fill" });
  bar.style.width = used === null ? "0" : `${Math.min(100, (100 * Number(used)) / (Number(limit) || 1))}%`;
  const name = `${budget.style === "calendar" ? "" : `${budget.style} `}${budget.rate ? "each minute" : budget.window}`;
  return el("li", { class: `budget ${level}`, data: { account: budget.account } },
    el("p", {}, el("b", {}, budget.account), ` ${name} `, el("span", { class: `badge ${level}` }, level),
      el("span", { class: "end" }, of(used), " of ", of(limit), ` · ${used === null ? "?" : share(used, limit)}`)),
    el("div", { class: "track" }, bar),
    budget.window_ends_at && !budget.rate ? el("p", { class: "under" }, `until ${dayAndClock(budget.window_ends_at)}`) : null);
}

const AT_ONCE = 25;
const rows = new Map();
let most = AT_ONCE;

export function showMore() {
  most += 4 * AT_ONCE;
}

/** A request never changes, so its row is made once. `wanted` says which are shown. */
export function showRecent(recent, wanted) {
  const body = byId("recent");
  const total = recent.length;
  const found = recent.filter(wanted);
  const shown = found.slice(0, most);
  const ids = new Set(recent.map((one) => one.id));
  for (const id of rows.keys()) if (!ids.has(id)) rows.delete(id);
  body.replaceChildren(...shown.flatMap((one) => {
    if (!rows.has(one.id)) rows.set(one.id, requestRows(one));
    return rows.get(one.id);
  }));
  if (!shown.length) body.append(el("tr", {}, el("td", { colSpan: 10, class: "none" }, total ? "None of the latest requests is like that." : "No requests yet.")));
  byId("more").hidden = found.length <= most;
  const narrowed = found.length < total ? `${count(found.length)} of ` : "";
  put("recent-under", total ? `${narrowed}the latest ${count(total)} requests; no prompt or answer is kept.` : "");
}

function requestRows(one) {
  const why = el("tr", { class: "why", hidden: true }, el("td", { colSpan: 10 }, details(one)));
  const status = one.outcome === "ok" ? "ok" : one.status >= 500 || one.outcome === "internal_error" ? "bad" : "odd";
  const cell = (label, ...children) => el("td", { data: { label } }, ...children);
  const line = el("tr", { class: "request", tabIndex: 0, ariaExpanded: "false", data: { id: one.id } },
    cell("time", el("time", { dateTime: one.at, title: dayAndClock(one.at) }, clock(one.at))),
    cell("service", one.service),
    cell("tier", one.tier ? el("span", { class: `badge tier-${one.tier}` }, one.tier) : "–"),
    cell("model", one.model ?? "–"),
    cell("cache", el("span", { class: `badge cache-${one.cache}` }, one.cache)),
    el("td", { class: "num", data: { label: "tokens" } }, `${tokens(one.input_tokens)} / ${tokens(one.output_tokens)}`),
    el("td", { class: "num", data: { label: "cost" } }, money(one.cost_usd)),
    el("td", { class: "num quiet", data: { label: "saved" } }, money(one.saved_usd)),
    el("td", { class: "num", data: { label: "took" } }, seconds(one.duration_s)),
    cell("status", el("span", { class: `status ${status}` }, String(one.status))));
  const turn = () => {
    why.hidden = !why.hidden;
    line.ariaExpanded = String(!why.hidden);
  };
  line.addEventListener("click", turn);
  line.addEventListener("keydown", (pressed) => {
    if (pressed.key === "Enter" || pressed.key === " ") pressed.preventDefault(), turn();
  });
  return [line, why];
}

function details(one) {
  const facts = [
    ["why", one.reasons.join(" · ") || "–"],
    ["outcome", one.error_code ? `${words(one.outcome)}: ${one.error_code}` : words(one.outcome)],
    ["provider", one.provider ? `${one.provider}, ${one.attempts === 1 ? "1 attempt" : `${one.attempts} attempts`}` : "–"],
    ["first token", seconds(one.first_token_s)],
    ["endpoint", `${one.endpoint}${one.stream ? ", streamed" : ""}`],
    ["id", one.id],
  ];
  return el("dl", {}, ...facts.flatMap(([name, text]) => [el("dt", {}, name), el("dd", {}, text)]));
}

/** What recent requests can be narrowed to: what occurs in them, and what is chosen already. */
export function offer(id, label, values) {
  const select = byId(id);
  const all = [...new Set([...values, select.value])].filter(Boolean).sort();
  const now = all.join("\n");
  if (select.dataset.offered === now) return;
  const chosen = select.value;
  select.replaceChildren(el("option", { value: "" }, label), ...all.map((value) => el("option", { value }, words(value))));
  select.value = chosen;
  select.dataset.offered = now;
}
