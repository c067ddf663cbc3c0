// SPDX-License-Identifier: Apache-2.0
import { expect, test } from "vitest";
import { changeOf, EMPTY, inOrder, lineOf, linesOf, moved, placed, rowOf, undoLines, wrongIn } from "./draft";
import type { DraftRow } from "./draft";
import type { Rule } from "./types";

const rule = (id: number, more: Partial<Rule> = {}): Rule => ({
  id,
  effect: "allow",
  subject: "role:sensor",
  actions: ["publish"],
  filter: "plant/${device}/#",
  priority: 0,
  literal: false,
  qos: null,
  retain: null,
  networks: [],
  conditions: "",
  created: "2026-01-01T00:00:00Z",
  created_by: "ann",
  learn_until: null,
  ...more,
});

test("a saved rule and its line are the same thing", () => {
  const all = rule(3, {
    effect: "deny",
    actions: ["publish", "subscribe", "receive"],
    filter: "a b/#",
    priority: -7,
    qos: "1,2",
    retain: false,
    networks: ["10.0.0.0/8", "::1/128"],
  });
  expect(lineOf(rowOf(all).cells)).toBe(
    'deny role:sensor all "a b/#" priority -7 qos 1,2 retain no network 10.0.0.0/8,::1/128',
  );
  expect(changeOf(rowOf(all))).toBe("");
  expect(linesOf([rowOf(all)]).lines).toEqual([]);
});

test("changes are lines, and each line knows its row", () => {
  const kept = rowOf(rule(1));
  const changed = { ...rowOf(rule(2)), cells: { ...rowOf(rule(2)).cells, filter: "x/#" } };
  const removed = { ...rowOf(rule(3)), removed: true };
  const added: DraftRow = { key: "new-1", cells: { ...EMPTY, subject: "any", filter: "y" }, removed: false };
  const rows = [kept, changed, removed, added];
  expect(linesOf(rows)).toEqual({
    lines: ["remove 2", "allow role:sensor publish x/#", "remove 3", "allow any publish y"],
    keys: ["2", "2", "3", "new-1"],
  });
  expect(undoLines(rows, [{ id: 8 }, { id: 9 }])).toEqual([
    "remove 8",
    "remove 9",
    "allow role:sensor publish plant/${device}/#",
    "allow role:sensor publish plant/${device}/#",
  ]);
  expect(placed("line 2: filter: it is empty", ["2", "2"])).toEqual({
    key: "2",
    message: "filter: it is empty",
  });
  expect(placed("the gateway is busy", ["2"])).toBeUndefined();
});

test("what is wrong in a cell is found there", () => {
  const ok = { ...EMPTY, subject: "device:pump-1", filter: "a/+/#" };
  expect(wrongIn(ok)).toEqual({});
  expect(wrongIn({ ...ok, subject: "pump-1" })).toEqual({ subject: "subject" });
  expect(wrongIn({ ...ok, filter: "" }).filter).toBe("filterEmpty");
  expect(wrongIn({ ...ok, filter: "a/b+/c" }).filter).toBe("filterPlus");
  expect(wrongIn({ ...ok, filter: "a/b#" }).filter).toBe("filterHash");
  expect(wrongIn({ ...ok, filter: "#/a" }).filter).toBe("filterHashLast");
  expect(wrongIn({ ...ok, filter: "#/a", literal: true })).toEqual({});
  expect(wrongIn({ ...ok, filter: "ä".repeat(513) }).filter).toBe("filterLong");
  for (const priority of ["", "1.5", "1001", "-1001"])
    expect(wrongIn({ ...ok, priority }).priority).toBe("priority");
  expect(wrongIn({ ...ok, priority: "-1000", qos: "0, 2", networks: "10.0.0.0/8 ::1" })).toEqual({});
  expect(wrongIn({ ...ok, qos: "3" }).qos).toBe("qos");
  expect(wrongIn({ ...ok, networks: "home" }).networks).toBe("networks");
});

test("rows are in the order of judging, and moving one gives it the priority for its place", () => {
  const a = rowOf(rule(1, { priority: 5 }));
  const b = rowOf(rule(2));
  const c = rowOf(rule(3, { effect: "deny" }));
  const gone = { ...rowOf(rule(4, { priority: 3 })), removed: true };
  const rows = inOrder([b, gone, c, a]);
  expect(rows.map((r) => r.key)).toEqual(["1", "4", "3", "2"]);
  expect(moved(rows, "2", -1)).toBe("1");
  expect(moved(rows, "3", -1)).toBe("6");
  expect(moved(rows, "1", 1)).toBe("-1");
  expect(moved(rows, "1", -1)).toBeUndefined();
  const typed = { ...b, cells: { ...b.cells, priority: "900" } };
  expect(inOrder([a, typed], b)[0]?.key).toBe("1");
  expect(inOrder([a, typed])[0]?.key).toBe("2");
  const top = rowOf(rule(5, { priority: 1000 }));
  expect(moved([top, a], "1", -1)).toBeUndefined();
});
