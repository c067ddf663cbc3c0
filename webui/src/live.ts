// SPDX-License-Identifier: Apache-2.0
// What the gateway tells as it happens: status and events, and a short history of the figures for charts. All tabs of a
// browser share one stream, because it has only a few connections to a host: whoever holds a lock of that name listens
// and tells the others; when that tab is closed the next one gets the lock.
import { useEffect, useState } from "preact/hooks";
import { get } from "./api";
import type { GatewayEvent, Status } from "./types";

/** One look at the counters. */
export interface Sample {
  at: number;
  status: Status;
}

const KEEP = 600; // samples: 20 minutes at one in 2 s
type Listener = () => void;

const AGAIN_MS = 3000;

/** What the tab that listens tells the others; hello asks it for the newest status. */
type Told =
  | { kind: "hello" }
  | { kind: "online"; online: boolean }
  | { kind: "status"; status: Status; at: number }
  | { kind: "event"; event: GatewayEvent }
  | { kind: "reset" }
  | { kind: "ended" };

const SHARED = "gatehouse-stream";

let source: EventSource | undefined;
let channel: BroadcastChannel | undefined;
let queue: AbortController | undefined;
let giveUp: () => void = () => undefined;
let again: ReturnType<typeof setTimeout> | undefined;
let online = false;
const samples: Sample[] = [];
const changed = new Set<Listener>();
const eventListeners = new Set<(e: GatewayEvent) => void>();
const resetListeners = new Set<Listener>();

function tell(): void {
  changed.forEach((f) => f());
}

function setOnline(v: boolean): void {
  if (online === v) return;
  online = v;
  tell();
}

/** Keeps a status and tells who shows it. */
export function take(status: Status, at = Date.now()): void {
  samples.push({ at, status });
  if (samples.length > KEEP) samples.shift();
  tell();
}

/** A browser comes back by itself when a stream breaks, but not after an answer like 503 or 401. */
function refused(ended: () => void): void {
  source = undefined;
  again = setTimeout(() => {
    get<Status>("/status") // which notices when the session has ended
      .catch(() => undefined)
      .then(() => {
        if (again !== undefined) open(ended);
      })
      .catch(() => undefined);
  }, AGAIN_MS);
}

export function start(ended: () => void): void {
  stop();
  if (typeof navigator !== "undefined" && "locks" in navigator) share(ended);
  else open(ended);
}

function open(ended: () => void): void {
  again = undefined;
  source = new EventSource("/api/v1/stream");
  source.onopen = () => say({ kind: "online", online: true }, ended);
  source.onerror = () => {
    say({ kind: "online", online: false }, ended);
    if (source?.readyState === EventSource.CLOSED) refused(ended);
  };
  source.addEventListener("status", (e: MessageEvent<string>) =>
    say({ kind: "status", status: JSON.parse(e.data) as Status, at: Date.now() }, ended),
  );
  source.addEventListener("event", (e: MessageEvent<string>) =>
    say({ kind: "event", event: JSON.parse(e.data) as GatewayEvent }, ended),
  );
  source.addEventListener("reset", () => say({ kind: "reset" }, ended));
  source.addEventListener("ended", () => say({ kind: "ended" }, ended));
}

/** Told by the stream of this tab: for this tab and the others. */
function say(told: Told, ended: () => void): void {
  channel?.postMessage(told);
  hear(told, ended);
}

function hear(told: Told, ended: () => void): void {
  switch (told.kind) {
    case "hello": {
      const last = samples[samples.length - 1];
      if (source && last) channel?.postMessage({ kind: "status", ...last } satisfies Told);
      break;
    }
    case "online":
      setOnline(told.online);
      break;
    case "status":
      setOnline(true);
      take(told.status, told.at);
      break;
    case "event":
      eventListeners.forEach((f) => f(told.event));
      break;
    case "reset":
      resetListeners.forEach((f) => f());
      break;
    case "ended":
      stop();
      ended();
  }
}

/** Waits for its turn to listen, and hears what the tab that does tells. */
function share(ended: () => void): void {
  const waiting = new AbortController();
  queue = waiting;
  channel = new BroadcastChannel(SHARED);
  channel.onmessage = (e: MessageEvent<Told>) => hear(e.data, ended);
  channel.postMessage({ kind: "hello" } satisfies Told);
  navigator.locks
    .request(
      SHARED,
      { signal: waiting.signal },
      () =>
        new Promise<void>((done) => {
          giveUp = done;
          if (waiting.signal.aborted) done();
          else open(ended);
        }),
    )
    .catch(() => undefined); // it waits no longer
}

export function stop(): void {
  source?.close();
  source = undefined;
  queue?.abort();
  queue = undefined;
  giveUp();
  giveUp = () => undefined;
  channel?.close();
  channel = undefined;
  clearTimeout(again);
  again = undefined;
  samples.length = 0;
  online = false;
}

/** The newest status, whether the stream stands, and the samples of the last minutes. */
export function useLive(): { status: Status | undefined; online: boolean; samples: readonly Sample[] } {
  const [, again] = useState(0);
  useEffect(() => {
    const f = () => again((n) => n + 1);
    changed.add(f);
    f();
    return () => void changed.delete(f);
  }, []);
  return { status: samples[samples.length - 1]?.status, online, samples };
}

/** Calls f for each event while the component stands. */
export function useEvents(f: (e: GatewayEvent) => void): void {
  useEffect(() => {
    eventListeners.add(f);
    return () => void eventListeners.delete(f);
  });
}

/** Calls f when events were missed and lists must be loaded anew. */
export function useReset(f: () => void): void {
  useEffect(() => {
    resetListeners.add(f);
    return () => void resetListeners.delete(f);
  });
}

/** How much a counter grew per second, between neighbouring samples; a restart of the broker counts as none. */
export function rate(list: readonly Sample[], counter: string): { at: number; value: number }[] {
  const out: { at: number; value: number }[] = [];
  for (let i = 1; i < list.length; i++) {
    const a = list[i - 1];
    const b = list[i];
    if (!a || !b) continue;
    const seconds = (b.at - a.at) / 1000;
    const grown = (b.status.counters[counter] ?? 0) - (a.status.counters[counter] ?? 0);
    if (seconds > 0) out.push({ at: b.at, value: Math.max(0, grown) / seconds });
  }
  return out;
}
