// SPDX-License-Identifier: Apache-2.0
import { expect, test } from "vitest";
import { forEach, readDevices, ROWS_MAX, type Known } from "./bulk";

const known: Known = {
  roles: new Set(["pump", "reader"]),
  profiles: new Set(["device", "short"]),
  devices: new Set(["there-1"]),
};
const read = (text: string, byDefault: "code" | "password" | "nothing" = "code") =>
  readDevices(text, byDefault, known);
const wrongOf = (row: string, titles = "name,kind,groups,roles,note,profile,network,password,certificate") =>
  read(`${titles}\n${row}`).wishes[0]?.wrong ?? [];

test("a table as people write it", () => {
  const { wishes, problem, leftOut } = read(
    "Name;Kind;Group;Role;Note;Password;Certificate\r\npump-1;pump;hall north;pump;first;;\r\npump-2;;;;;yes;\r\npump-3;;;;;a good one;code\r\n",
  );
  expect(problem).toBe("");
  expect(leftOut).toEqual([]);
  expect(wishes.map((w) => [w.line, w.name, w.password, w.code, w.wrong.length])).toEqual([
    [2, "pump-1", "", true, 0],
    [3, "pump-2", "make", false, 0],
    [4, "pump-3", "a good one", true, 0],
  ]);
  expect(wishes[0]).toMatchObject({
    kind: "pump",
    groups: ["hall", "north"],
    roles: ["pump"],
    note: "first",
  });
});

test("what a line gets that says nothing", () => {
  const proof = (byDefault: "code" | "password" | "nothing", row: string) => {
    const w = read(`name,password,certificate\n${row}`, byDefault).wishes[0];
    return [w?.password, w?.code];
  };
  expect(proof("code", "a,,")).toEqual(["", true]);
  expect(proof("password", "a,,")).toEqual(["make", false]);
  expect(proof("nothing", "a,,")).toEqual(["", false]);
  expect(proof("code", "a,no,no")).toEqual(["", false]);
  expect(proof("password", "a,,yes")).toEqual(["", true]);
});

test("the titles of gatehouse device import", () => {
  const { wishes, problem } = read("name,password,code\na,,yes\nb,a good one,no\nc,,\n", "nothing");
  expect(problem).toBe("");
  expect(wishes.map((w) => [w.name, w.password, w.code, w.wrong.length])).toEqual([
    ["a", "", true, 0],
    ["b", "a good one", false, 0],
    ["c", "", false, 0],
  ]);
  expect(read("name,certificate,code\na,yes,no\n").problem).toContain("certificate");
});

test.each([
  [",,,,,,,,", "", 0],
  ["x,,,,,,,,", "", 0],
  [",pump,,,,,,,", "name", 1],
  ["a b,,,,,,,,", "name", 1],
  ["-a,,,,,,,,", "name", 1],
  [`${"x".repeat(65)},,,,,,,,`, "name", 1],
  ["there-1,,,,,,,,", "name", 1],
  [`x,${"ü".repeat(17)},,,,,,,`, "kind", 1],
  [`x,${"ü".repeat(16)},,,,,,,`, "", 0],
  [`x,,,,${"n".repeat(257)},,,,`, "note", 1],
  ["x,,a/b,,,,,,", "groups", 1],
  [`x,,${Array.from({ length: 33 }, (_, i) => `g${i}`).join(" ")},,,,,,`, "groups", 1],
  ["x,,,no-such,,,,,", "roles", 1],
  ["x,,,pump reader,,,,,", "", 0],
  ["x,,,,,,,short,", "password", 1],
  [`x,,,,,,,${"p".repeat(512)},`, "password", 1],
  ["x,,,,,no-such,,,code", "profile", 1],
  ["x,,,,,short,,,no", "profile", 1],
  ["x,,,,,,10.0.0.0/8,,", "", 0],
  ["x,,,,,,everywhere,,", "network", 1],
  ["x,,,,,,,,perhaps", "certificate", 1],
  ["x,,,,,,,,,more", "", 1],
])("%s", (row, field, n) => {
  const wrong = wrongOf(row);
  expect(wrong.map((w) => w.field)).toEqual(n ? [field] : []);
  for (const w of wrong) expect(w.message).not.toContain("undefined");
});

test("a name that comes twice", () => {
  const { wishes } = read("name\na\nb\na\n");
  expect(wishes.map((w) => w.wrong.length)).toEqual([0, 0, 1]);
  expect(wishes[2]?.wrong[0]?.message).toContain("line 2");
});

test("limits are named with what was found", () => {
  expect(wrongOf(`x,,,,${"n".repeat(257)},,,,`)[0]?.message).toMatch(/257.*256/);
  expect(wrongOf("x,,,,,,,short,")[0]?.message).toMatch(/5.*8.*511/);
});

test.each([
  ["", ""],
  ["name\n", "no device"],
  ["kind,note\na,b", "name"],
  ["name,colour\na,b", "colour"],
  ["name,group,groups\na,b,c", "groups"],
  ['name\n"a', "Line 2"],
  [`name\n${"x\n".repeat(ROWS_MAX + 1)}`, String(ROWS_MAX)],
])("no table: %#", (source, words) => {
  const { problem, wishes } = read(source);
  expect(wishes).toEqual([]);
  expect(problem).toContain(words);
  expect(problem === "").toBe(source === "");
});

test("the list as the page saves it can be read", () => {
  expect(read('name,enabled,added\n"a","true","2026"').leftOut).toEqual(["enabled", "added"]);
});

test("work on many is stopped between two", async () => {
  const done: number[] = [];
  await forEach(
    [1, 2, 3, 4, 5],
    2,
    () => done.length >= 3,
    async (n) => {
      await Promise.resolve();
      done.push(n);
    },
  );
  expect(done.length).toBeLessThan(5);
  expect(done.slice(0, 3)).toEqual([1, 2, 3]);
  const all: number[] = [];
  await forEach(
    [1, 2, 3],
    9,
    () => false,
    async (n) => {
      await Promise.resolve();
      all.push(n);
    },
  );
  expect(all).toEqual([1, 2, 3]);
});
