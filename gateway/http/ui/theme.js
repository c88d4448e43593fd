// Before anything is drawn: what was chosen here before, else what the system prefers.
"use strict";
{
  const chosen = localStorage.getItem("thriftgate-theme");
  const dark = chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  document.documentElement.dataset.theme = dark ? "dark" : "light";
}
