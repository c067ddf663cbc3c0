// SPDX-License-Identifier: Apache-2.0
// Light, dark, or as the system wants it; kept in this browser.

export type Theme = "system" | "light" | "dark";
const key = "gatehouse-theme";

export function theme(): Theme {
  const v = localStorage.getItem(key);
  return v === "light" || v === "dark" ? v : "system";
}

const dark = matchMedia("(prefers-color-scheme: dark)");

function apply(): void {
  const t = theme();
  document.documentElement.dataset.theme = t === "system" ? (dark.matches ? "dark" : "light") : t;
}

export function setTheme(t: Theme): void {
  localStorage.setItem(key, t);
  apply();
}

/** From now on the page has the colours that are wanted, whatever changes. */
export function startTheme(): void {
  dark.addEventListener("change", apply);
  apply();
}
