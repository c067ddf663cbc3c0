// SPDX-License-Identifier: Apache-2.0
import { expect, test } from "vitest";
import { browser, ago, bytes, count, duration } from "./format";

test("bytes in their units", () => {
  expect(bytes(0)).toBe("0 B");
  expect(bytes(1536)).toBe("1.5 KiB");
  expect(bytes(150 * 1024)).toBe("150 KiB");
  expect(bytes(3 * 1024 ** 3)).toBe("3.0 GiB");
});

test("counts", () => {
  expect(count(12345.6)).toBe("12,346");
  expect(count(2.25)).toBe("2.3");
  expect(count(7)).toBe("7");
});

test("durations name two units", () => {
  expect(duration(0)).toBe("0 s");
  expect(duration(59)).toBe("59 s");
  expect(duration(3 * 86400 + 4 * 3600 + 5)).toBe("3 d 4 h");
  expect(duration(3600 + 5)).toBe("1 h");
  expect(duration(10 * 365 * 86400 + 2 * 86400)).toBe("10 y 2 d");
});

test("how long ago", () => {
  const now = Date.parse("2026-01-02T00:00:00Z");
  expect(ago("2026-01-01T23:57:00Z", now)).toBe("3 min ago");
  expect(ago("2026-01-04T00:00:00Z", now)).toBe("in 2 d");
  expect(ago("2026-01-02T00:00:00Z", now)).toBe("now");
});

test("browsers are called as people call them", () => {
  const mozilla = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko)";
  expect(browser(`${mozilla} Chrome/140.0.0.0 Safari/537.36`)).toBe("Chrome 140, Linux");
  expect(browser(`${mozilla} Chrome/140.0.0.0 Safari/537.36 Edg/140.0.1`)).toBe("Edge 140, Linux");
  expect(browser("Mozilla/5.0 (Windows NT 10.0; rv:141.0) Gecko/20100101 Firefox/141.0")).toBe(
    "Firefox 141, Windows",
  );
  expect(
    browser("Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Version/18.0 Mobile Safari/604.1"),
  ).toBe("Safari 18, iOS");
  expect(browser("curl/8.5")).toBe("curl/8.5");
});
