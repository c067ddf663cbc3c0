// SPDX-License-Identifier: Apache-2.0
// Light, dark, or as the system wants it; kept in this browser.

export type Theme = "system" | "light" | "dark";
const key = "gatehouse-theme";

export function theme(): Theme {
  const v = localStorage.getItem(key);
  return v === "light" || v === "dark" ? v : "system";
}

function apply(t: Theme): void {
  if (t === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = t;
}

export function setTheme(t: Theme): void {
  localStorage.setItem(key, t);
  apply(t);
}

export function useStoredTheme(): void {
  apply(theme());
}
