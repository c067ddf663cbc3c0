// SPDX-License-Identifier: Apache-2.0
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { text } from "../text";
import type { GatewayEvent } from "../types";
import { csv, grouped, passes } from "./events";

function event(seq: number, more: Partial<GatewayEvent>): GatewayEvent {
  return {
    seq,
    time: "2026-01-01T00:00:00Z",
    event: "acl.denied",
    severity: "warning",
    device: null,
    actor: null,
    client_id: null,
    address: null,
    listener: null,
    reason: null,
    detail: {},
    acknowledged: null,
    ...more,
  };
}

test("each event that the gateway records has words", () => {
  const table = readFileSync(new URL("../../../daemon/base/events.def", import.meta.url), "utf8");
  const names = [...table.matchAll(/^EVENT\(\w+, "([^"]+)"/gm)].map((m) => m[1]);
  expect(names.length).toBeGreaterThan(60);
  expect(Object.keys(text.events.named).sort()).toEqual(names.sort());
});

test("the filter is the gateway's", () => {
  const e = event(1, { device: "pump-1" });
  expect(passes(e, { severity: "notice", name: "acl", device: "", state: "" })).toBe(true);
  expect(passes(e, { severity: "error", name: "", device: "", state: "" })).toBe(false);
  expect(passes(e, { severity: "debug", name: "ac", device: "", state: "" })).toBe(false);
  expect(passes(e, { severity: "debug", name: "acl.denied", device: "pump-1", state: "" })).toBe(true);
  expect(passes(e, { severity: "debug", name: "", device: "pump-2", state: "" })).toBe(false);
});

test("what is acknowledged is not open", () => {
  const open = event(1, {});
  const done = event(2, { acknowledged: { time: "2026-01-01T00:00:00Z", actor: "ann", note: "" } });
  const f = { severity: "debug", name: "", device: "" } as const;
  expect([open, done].map((e) => passes(e, { ...f, state: "open" }))).toEqual([true, false]);
  expect([open, done].map((e) => passes(e, { ...f, state: "acknowledged" }))).toEqual([false, true]);
  expect(grouped([open, done]).map((g) => [g.times, g.open])).toEqual([[2, 1]]);
});

test("the same by the same actor is one row, the newest first", () => {
  const rows = grouped([
    event(1, { device: "a", reason: "x" }),
    event(2, { address: "192.0.2.7:1000", event: "login.refused" }),
    event(3, { device: "a", reason: "x" }),
    event(4, { address: "192.0.2.7:2000", event: "login.refused" }),
  ]);
  expect(rows.map((g) => [g.event, g.who, g.times, g.last.seq])).toEqual([
    ["login.refused", "192.0.2.7", 2, 4],
    ["acl.denied", "a", 2, 3],
  ]);
});

test("no cell of the CSV is a formula", () => {
  const text = csv([event(1, { actor: '=cmd|" /C calc"!A0', reason: "a,b" })]);
  expect(text).toContain(`"'=cmd|"" /C calc""!A0"`);
  expect(text).toContain('"a,b"');
  expect(text.trim().split("\r\n").length).toBe(2);
});
