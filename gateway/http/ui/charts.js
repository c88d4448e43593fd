// The two charts, drawn by Chart.js in the colours of the page's theme.

import { dayName, usd, words } from "/ui/format.js";

const drawn = new Map();

function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

function draw(id, type, data, options) {
  const chart = drawn.get(id);
  if (chart) {
    chart.data.labels = data.labels;
    data.datasets.forEach((dataset, at) => Object.assign((chart.data.datasets[at] ??= {}), dataset));
    chart.options = options;
    chart.update("none");
    return;
  }
  drawn.set(id, new Chart(document.getElementById(id), { type, data, options }));
}

function common() {
  return {
    animation: false, // figures that move every few seconds are no rest for the eye
    maintainAspectRatio: false,
    plugins: { legend: { display: false }, tooltip: { displayColors: false, padding: 10, cornerRadius: 6 } },
  };
}

function axis(more = {}) {
  return {
    grid: { color: colour("line"), drawBorder: false, tickLength: 4 },
    ticks: { color: colour("quiet"), font: { family: colour("font"), size: 11 }, maxRotation: 0, autoSkipPadding: 14 },
    ...more,
  };
}

const money = (more) => ({ ...axis(more).ticks, maxTicksLimit: 5, callback: (value) => usd(value) });

export function drawDays(days, first, last) {
  const byDay = new Map(days.map((day) => [day.date, day]));
  const all = [];
  for (let at = Date.parse(first); at <= Date.parse(last); at += 86_400_000) all.push(new Date(at).toISOString().slice(0, 10));
  const value = (day, name) => Number(byDay.get(day)?.[name] ?? 0);
  const bar = { borderRadius: 2, maxBarThickness: 26, categoryPercentage: 0.85, barPercentage: 0.9 };
  const options = common();
  options.interaction = { mode: "index", intersect: false };
  options.plugins.tooltip.callbacks = {
    label: (item) => `${item.dataset.label}: ${usd(item.datasetIndex ? item.raw : value(all[item.dataIndex], "total_usd"))}`,
  };
  options.scales = {
    x: axis({ stacked: true, grid: { display: false } }),
    y: { ...axis({ stacked: true, beginAtZero: true }), ticks: money() },
  };
  draw("days", "bar", {
    labels: all.map(dayName),
    datasets: [
      { label: "cost", data: all.map((day) => value(day, "total_usd")), backgroundColor: colour("cost"), ...bar },
      { label: "saved", data: all.map((day) => Math.max(0, value(day, "net_saved_usd"))), backgroundColor: colour("saved-soft"), ...bar },
    ],
  }, options);
}

/** `steps`: name, dollars, and whether it is a sum (`total`), takes off (`saved`) or adds (`overhead`). */
export function drawWaterfall(steps) {
  let at = 0;
  const spans = steps.map(({ kind, usd: text }) => {
    const size = Number(text);
    if (kind === "total") return [0, (at = size)];
    const from = at;
    at += kind === "saved" ? -size : size;
    return [Math.max(0, at), from];
  });
  const colours = { total: colour("cost"), saved: colour("saved"), overhead: colour("overhead") };
  const options = { ...common(), indexAxis: "y" };
  options.plugins.tooltip.callbacks = { label: (item) => usd(steps[item.dataIndex].usd) };
  options.scales = {
    x: { ...axis({ beginAtZero: true }), ticks: money() },
    y: axis({ grid: { display: false }, ticks: { ...axis().ticks, color: colour("ink"), autoSkip: false, font: { family: colour("font"), size: 12 } } }),
  };
  draw("waterfall", "bar", {
    labels: steps.map((step) => words(step.name)),
    datasets: [{ data: spans, backgroundColor: steps.map((step) => colours[step.kind]), borderRadius: 2, borderSkipped: false, maxBarThickness: 22 }],
  }, options);
}
