// SPDX-License-Identifier: Apache-2.0
import { expect, test } from "vitest";
import { rate, type Sample } from "./live";
import type { Status } from "./types";

function sample(at: number, messages: number): Sample {
  return { at, status: { counters: { "messages.received": messages } } as unknown as Status };
}

test("a rate is growth over time, and a restart is no negative one", () => {
  const list = [sample(0, 100), sample(2000, 300), sample(4000, 10), sample(5000, 20)];
  expect(rate(list, "messages.received").map((p) => p.value)).toEqual([100, 0, 10]);
  expect(rate(list, "unknown").map((p) => p.value)).toEqual([0, 0, 0]);
});
