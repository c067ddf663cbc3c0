// SPDX-License-Identifier: Apache-2.0
import { expect, test, vi } from "vitest";
import { onEnded } from "./api";
import { rate, start, stop, type Sample } from "./live";
import type { Status } from "./types";

function sample(at: number, messages: number): Sample {
  return { at, status: { counters: { "messages.received": messages } } as unknown as Status };
}

test("a rate is growth over time, and a restart is no negative one", () => {
  const list = [sample(0, 100), sample(2000, 300), sample(4000, 10), sample(5000, 20)];
  expect(rate(list, "messages.received").map((p) => p.value)).toEqual([100, 0, 10]);
  expect(rate(list, "unknown").map((p) => p.value)).toEqual([0, 0, 0]);
});

class FakeSource {
  static readonly CLOSED = 2;
  static all: FakeSource[] = [];
  readyState = 0;
  onerror: () => void = () => undefined;
  constructor() {
    FakeSource.all.push(this);
  }
  addEventListener(): void {
    // nothing is told
  }
  close(): void {
    this.readyState = FakeSource.CLOSED;
  }
  refuse(): void {
    this.readyState = FakeSource.CLOSED;
    this.onerror();
  }
}

test("a stream that was refused is asked for again, until the session has ended", async () => {
  let status = 503;
  vi.useFakeTimers();
  vi.stubGlobal("EventSource", FakeSource);
  vi.stubGlobal("fetch", () => Promise.resolve(new Response("{}", { status })));
  onEnded(stop);
  start(() => undefined);
  expect(FakeSource.all.length).toBe(1);
  FakeSource.all[0]?.refuse();
  await vi.advanceTimersByTimeAsync(10000);
  expect(FakeSource.all.length).toBe(2);
  status = 401;
  FakeSource.all[1]?.refuse();
  await vi.advanceTimersByTimeAsync(10000);
  expect(FakeSource.all.length).toBe(2);
  vi.unstubAllGlobals();
  vi.useRealTimers();
});
