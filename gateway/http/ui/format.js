// Figures in words. What is shown is rounded; the exact value, as the gateway sent it, is in `title` and `data-usd`.

const dollars = new Intl.NumberFormat("en-US", { minimumFractionDigits: 2, maximumFractionDigits: 2 });
const counts = new Intl.NumberFormat("en-US");
const short = new Intl.NumberFormat("en-US", { notation: "compact", maximumFractionDigits: 1 });

/** Two decimals from a dollar up, four from a cent up, below it three digits that say something. */
export function usd(text) {
  const value = Number(text);
  const sign = value < 0 ? "−" : "";
  const size = Math.abs(value);
  if (size === 0) return "$0";
  if (size >= 1) return `${sign}$${dollars.format(size)}`;
  if (size >= 0.01) return `${sign}$${size.toFixed(4)}`;
  const digits = Math.min(9, 2 - Math.floor(Math.log10(size)));
  return `${sign}$${size.toFixed(digits).replace(/0+$/, "")}`;
}

export const count = (value) => counts.format(value);
export const tokens = (value) => (value < 10_000 ? counts.format(value) : short.format(value));

export function share(part, whole) {
  const size = Number(whole);
  return size > 0 ? `${((100 * Number(part)) / size).toFixed(Number(part) / size < 0.1 ? 1 : 0)} %` : "–";
}

export function seconds(value) {
  if (value === null) return "–";
  return value < 1 ? `${Math.round(value * 1000)} ms` : `${value.toFixed(value < 10 ? 2 : 1)} s`;
}

export function clock(moment) {
  return new Date(moment).toISOString().slice(11, 19);
}

export function dayAndClock(moment) {
  return `${moment.slice(0, 10)} ${clock(moment)} UTC`;
}

export function dayName(day) {
  return new Date(`${day}T00:00:00Z`).toLocaleDateString("en-GB", { day: "numeric", month: "short", timeZone: "UTC" });
}

/** `semantic_cache` and `failed_attempt` as people write them. */
export const words = (name) => name.replaceAll("_", " ");
