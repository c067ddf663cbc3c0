// SPDX-License-Identifier: Apache-2.0
import { expect, test } from "vitest";
import { append, plain } from "./gateway-log";

const line = (seq: number) => ({
  seq,
  time: "2026-11-26T12:00:00.000Z",
  process: "broker",
  level: "notice" as const,
  text: `line ${seq}`,
  left_out: 0,
});

test("what comes is put behind what is there, once, and the oldest go", () => {
  expect(append([line(1)], [line(1), line(2)]).map((l) => l.seq)).toEqual([1, 2]);
  expect(append([], [line(7)]).map((l) => l.seq)).toEqual([7]);
  const many = Array.from({ length: 1000 }, (_, i) => line(i + 1));
  const kept = append(many, [line(1001)]);
  expect(kept.length).toBe(1000);
  expect(kept[0]?.seq).toBe(2);
});

test("a saved line is like one of the journal", () => {
  expect(plain(line(1))).toBe("2026-11-26T12:00:00.000Z notice  broker: line 1");
});
