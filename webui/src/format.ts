// SPDX-License-Identifier: Apache-2.0
// Numbers and times for people. Times of the API are RFC 3339 in UTC; people see their own zone.

const units = ["B", "KiB", "MiB", "GiB", "TiB"];

/** 1536 → "1.5 KiB". */
export function bytes(n: number): string {
  let unit = 0;
  while (n >= 1024 && unit < units.length - 1) {
    n /= 1024;
    unit++;
  }
  return `${unit === 0 || n >= 100 ? Math.round(n) : n.toFixed(1)} ${units[unit] ?? ""}`;
}

/** 12345.6 → "12,346"; small ones keep one digit behind the point. */
export function count(n: number): string {
  return n.toLocaleString("en", { maximumFractionDigits: n < 10 && n % 1 !== 0 ? 1 : 0 });
}

const steps: [number, string][] = [
  [365 * 86400, "y"],
  [86400, "d"],
  [3600, "h"],
  [60, "min"],
  [1, "s"],
];

/** Seconds as "3 d 4 h", "12 min", "5 s": the two largest units that matter. */
export function duration(seconds: number): string {
  let rest = Math.max(0, Math.floor(seconds));
  const parts: string[] = [];
  for (const [size, unit] of steps) {
    const n = Math.floor(rest / size);
    rest -= n * size;
    if (n > 0) parts.push(`${n} ${unit}`);
    else if (parts.length > 0) break;
    if (parts.length === 2) break;
  }
  return parts.join(" ") || "0 s";
}

/** "25 Nov 2026, 14:03:07" in the viewer's zone. */
export function time(rfc3339: string): string {
  return new Date(rfc3339).toLocaleString("en-GB", {
    day: "numeric",
    month: "short",
    year: "numeric",
    hour: "2-digit",
    minute: "2-digit",
    second: "2-digit",
  });
}

/** "3 min ago", "in 2 d". */
export function ago(rfc3339: string, now = Date.now()): string {
  const seconds = (now - Date.parse(rfc3339)) / 1000;
  if (Math.abs(seconds) < 1) return "now";
  const text = duration(Math.abs(seconds)).split(" ").slice(0, 2).join(" ");
  return seconds > 0 ? `${text} ago` : `in ${text}`;
}

const clock = new Intl.DateTimeFormat("en-GB", {
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
  fractionalSecondDigits: 3,
});

/** The time of day in the viewer's zone, with milliseconds. */
export function ofDay(at: string): string {
  return clock.format(new Date(at));
}

const browsers: [RegExp, string][] = [
  [/Edg\/(\d+)/, "Edge"],
  [/OPR\/(\d+)/, "Opera"],
  [/Firefox\/(\d+)/, "Firefox"],
  [/(?:Headless)?Chrome\/(\d+)/, "Chrome"],
  [/Version\/(\d+)[\d.]* .*Safari/, "Safari"],
];
const systems: [RegExp, string][] = [
  [/iPhone|iPad/, "iOS"],
  [/Android/, "Android"],
  [/Windows/, "Windows"],
  [/Mac OS X/, "macOS"],
  [/Linux/, "Linux"],
];

/** What a browser says of itself, as people call it: "Firefox 140, Linux". Others stay as they are. */
export function browser(agent: string): string {
  const found = browsers.flatMap(([like, name]) => {
    const version = like.exec(agent)?.[1];
    return version === undefined ? [] : [`${name} ${version}`];
  })[0];
  const system = systems.find(([like]) => like.test(agent))?.[1];
  return found === undefined ? agent : [found, system].filter((s) => s !== undefined).join(", ");
}
