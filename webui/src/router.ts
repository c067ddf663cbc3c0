// SPDX-License-Identifier: Apache-2.0
// Paths of pages: the address bar is the state, so that every view can be bookmarked and the back key works.
import { useEffect, useState } from "preact/hooks";

type Listener = () => void;
const listeners = new Set<Listener>();

function changed(): void {
  listeners.forEach((f) => f());
}

if (typeof window !== "undefined") window.addEventListener("popstate", changed);

export interface Place {
  path: string;
  /** Segments of the path, decoded. */
  parts: string[];
  query: URLSearchParams;
}

export function parse(href: string): Place {
  const url = new URL(href, "https://gateway/");
  const parts = url.pathname
    .split("/")
    .filter((s) => s !== "")
    .map((s) => {
      try {
        return decodeURIComponent(s);
      } catch {
        return s;
      }
    });
  return { path: url.pathname, parts, query: url.searchParams };
}

export function navigate(to: string, replace = false): void {
  if (replace) history.replaceState(null, "", to);
  else history.pushState(null, "", to);
  changed();
}

/** Changes some of the query; empty values leave it. The history gets no further step. */
export function setQuery(values: Record<string, string>): void {
  const q = new URLSearchParams(location.search);
  for (const [name, value] of Object.entries(values)) {
    if (value === "") q.delete(name);
    else q.set(name, value);
  }
  const s = q.toString();
  navigate(location.pathname + (s ? `?${s}` : ""), true);
}

export function usePlace(): Place {
  const [href, set] = useState(location.href);
  useEffect(() => {
    const f = () => set(location.href);
    listeners.add(f);
    f();
    return () => void listeners.delete(f);
  }, []);
  return parse(href);
}
