// Elements, made of text only: nothing that came over the wire is ever read as HTML.

import { usd } from "/ui/format.js";

export const byId = (id) => document.getElementById(id);

export function el(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name === "class") made.className = value;
    else if (name === "data") Object.assign(made.dataset, value);
    else made[name] = value;
  }
  made.append(...children.filter((child) => child !== null));
  return made;
}

/** Dollars: rounded to read, exact to point at. */
export function money(text, properties = {}) {
  return el("span", { title: `$${text}`, data: { usd: text }, ...properties }, usd(text));
}

export function put(id, ...children) {
  byId(id).replaceChildren(...children);
}
