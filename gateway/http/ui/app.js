// The page: asks for the figures every few seconds while somebody looks, and shows them.

import { drawDays, drawWaterfall } from "/ui/charts.js";
import { byId, el, money, put } from "/ui/dom.js";
import { KeyWanted, daysOf, figures, forgetKey, hasKey, keepKey } from "/ui/figures.js";
import { clock, count, share, usd, words } from "/ui/format.js";
import { DIVISIONS, offer, showBudgets, showDivision, showMore, showRecent } from "/ui/tables.js";

const EVERY_MS = 5_000;
const RANGES = { month: "this month", today: "today", week: "last 7 days", "last-month": "last month" };
let shown = null;
let division = "service";
let timer = 0;
let asking = 0;

async function refresh() {
  clearTimeout(timer);
  const mine = ++asking;
  try {
    const answer = await figures(byId("service").value, daysOf(byId("range").value));
    if (mine !== asking) return; // somebody has chosen otherwise meanwhile
    shown = answer;
    say(shown.complete ? "" : "Still reading the ledger of what was before the last start: sums are too low for a moment.");
    show();
  } catch (error) {
    if (mine !== asking) return;
    if (error instanceof KeyWanted) return askForKey(error.message);
    say(`No new figures: ${error.name === "TimeoutError" || error instanceof TypeError ? "the gateway does not answer" : error.message}.`);
  }
  if (!document.hidden) timer = setTimeout(refresh, EVERY_MS);
}

function show() {
  const range = RANGES[byId("range").value];
  for (const place of document.querySelectorAll(".range-name")) place.textContent = range;
  put("today-total", money(shown.today.total_usd));
  put("today-under", spent(shown.today));
  put("month-total", money(shown.month.total_usd));
  put("month-under", spent(shown.month));
  put("forecast", money(shown.forecast.usd));
  put("forecast-under", `${usd(shown.forecast.low_usd)} to ${usd(shown.forecast.high_usd)} · ${shown.forecast.how}`);
  put("saved", money(shown.range.net_saved_usd));
  put("saved-under", `${share(shown.range.net_saved_usd, shown.range.baseline_usd)} of what the baseline would have cost`);
  showServices();
  drawDays(shown.by_day, shown.first_day, shown.last_day);
  showSteps();
  showDivision(shown, division);
  showBudgets(shown);
  showRequests();
  put("updated", `As of ${clock(shown.as_of)} UTC, every ${EVERY_MS / 1000} s.`);
  byId("forget-key").hidden = !hasKey();
}

function spent(part) {
  const checks = Number(part.checks_usd) ? `, ${usd(part.checks_usd)} of it checks of cache hits` : "";
  return `${count(part.requests)} requests${checks}`;
}

/** Baseline, less each saving, plus each overhead, is the cost; requests without a baseline come in as they are. */
function showSteps() {
  const sums = shown.range;
  const apart = Number(sums.cost_usd) - Number(sums.compared_usd);
  const steps = [
    { name: "baseline", usd: sums.baseline_usd, kind: "total" },
    ...shown.saved_by_cause.map((part) => ({ ...part, kind: "saved" })),
    ...shown.overhead_by_kind.map((part) => ({ ...part, kind: "overhead" })),
  ];
  if (apart > 0) steps.push({ name: "not compared", usd: apart.toFixed(9), kind: "overhead" });
  steps.push({ name: "cost", usd: sums.total_usd, kind: "total" });
  drawWaterfall(steps);
  put("steps", ...steps.map((step) =>
    el("tr", { class: step.kind, data: { name: step.name } }, el("th", { scope: "row" }, words(step.name)),
      el("td", { class: "num" }, step.kind === "saved" ? "−" : step.kind === "overhead" ? "+" : "", money(step.usd)))));
  const named = (models) => models.map((one) => one.name).join(", ");
  put("compared-with", shown.baselines.length ? `the same tokens at the price of ${named(shown.baselines)}` : "nothing to compare with on these days");
  const sober = shown.last_month_baselines;
  put("sober", ...(sober.length
    ? ["With the model each service used most last month (", named(sober), ") it would have been ", money(sums.last_month_usd), " for what cost ", money(sums.last_month_compared_usd), "."]
    : ["A second baseline, the model each service used most last month: none yet."]));
}

function showServices() {
  const select = byId("service");
  if (shown.service && !select.value) return; // a service that sees itself has no choice
  const names = shown.by_service.map((part) => part.name).filter((name) => !shown.services.includes(name) && name !== "other");
  const all = select.value ? null : [...shown.services, ...names];
  if (!all || select.dataset.offered === all.join("\n")) return;
  select.replaceChildren(el("option", { value: "" }, "all"), ...shown.services.map((name) => el("option", { value: name }, name)));
  select.dataset.offered = all.join("\n");
}

function showRequests() {
  const recent = shown.recent;
  offer("only-tier", "any tier", recent.map((one) => one.tier ?? ""));
  offer("only-cache", "any cache", recent.map((one) => one.cache));
  offer("only-outcome", "any outcome", recent.map((one) => one.outcome));
  const text = byId("search").value.trim().toLowerCase();
  const [tier, cache, outcome] = ["only-tier", "only-cache", "only-outcome"].map((id) => byId(id).value);
  const said = (one) => [one.id, one.service, one.model, one.provider, one.error_code, one.endpoint, ...one.reasons].join(" ").toLowerCase();
  const wanted = (one) => (!tier || one.tier === tier) && (!cache || one.cache === cache)
    && (!outcome || one.outcome === outcome) && (!text || said(one).includes(text));
  showRecent(recent, wanted);
}

function say(text) {
  put("notice", text);
  byId("notice").hidden = !text;
}

function askForKey(why) {
  forgetKey();
  byId("key-why").textContent = why;
  if (!byId("ask-key").open) byId("ask-key").showModal();
}

function chooseDivision(by) {
  division = by;
  for (const tab of byId("tabs").children) tab.ariaSelected = String(tab.textContent === by);
  if (shown) showDivision(shown, by);
}

function wire() {
  put("tabs", ...DIVISIONS.map((by) => {
    const tab = el("button", { type: "button", role: "tab" }, by);
    tab.addEventListener("click", () => chooseDivision(by));
    return tab;
  }));
  chooseDivision(division);
  for (const id of ["service", "range"]) byId(id).addEventListener("change", refresh);
  for (const id of ["search", "only-tier", "only-cache", "only-outcome"]) byId(id).addEventListener("input", () => shown && showRequests());
  byId("more").addEventListener("click", () => {
    showMore();
    showRequests();
  });
  byId("theme").addEventListener("click", () => {
    const theme = document.documentElement.dataset.theme === "dark" ? "light" : "dark";
    document.documentElement.dataset.theme = theme;
    localStorage.setItem("thriftgate-theme", theme);
    if (shown) show();
  });
  byId("key-form").addEventListener("submit", (submitted) => {
    submitted.preventDefault();
    keepKey(byId("key").value.trim());
    byId("key").value = "";
    byId("ask-key").close();
    refresh();
  });
  byId("ask-key").addEventListener("cancel", (cancelled) => cancelled.preventDefault());
  byId("forget-key").addEventListener("click", () => {
    forgetKey();
    location.reload();
  });
  document.addEventListener("visibilitychange", () => document.hidden || refresh());
}

wire();
refresh();
