// SPDX-License-Identifier: Apache-2.0
// Events: one of them in one or two lines (when, how severe, what, who, why), and the list that grows as they come.
import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import { get, type Arguments, type Page } from "../api";
import { useEvents, useReset } from "../live";
import type { GatewayEvent, Severity } from "../types";
import { Badge, Link, Spinner, Time, Trouble, useLoad, type Tone } from "./kit";

export const tones: Record<Severity, Tone> = {
  debug: "",
  info: "",
  notice: "accent",
  warning: "warn",
  error: "bad",
  critical: "bad",
};

/** Fingerprints and serial numbers by their first digits. */
function short(value: string): string {
  return /^[0-9a-f]{32,}$/.test(value) ? `${value.slice(0, 16)}…` : value;
}

/** "topic plant/x, rule 0". */
export function details(e: GatewayEvent): string {
  return Object.entries(e.detail)
    .map(([k, v]) => `${k.replaceAll("_", " ")} ${short(String(v))}`)
    .join(", ");
}

function EventLine({ event }: { event: GatewayEvent }) {
  const who = event.device ?? event.actor;
  return (
    <li>
      <span class="small muted">
        <Time at={event.time} />
      </span>
      <span class="what">
        <Badge tone={tones[event.severity]}>{event.event}</Badge>{" "}
        {event.device ? (
          <Link href={`/devices/${encodeURIComponent(event.device)}`}>{event.device}</Link>
        ) : (
          who
        )}
        {event.reason ? ` – ${event.reason}` : ""}
        {event.address ? <span class="muted small"> {event.address}</span> : null}
        <span class="muted small"> {details(event)}</span>
      </span>
    </li>
  );
}

export interface EventLog {
  /** The newest so many, oldest first. */
  all: GatewayEvent[];
  /** How many came while it is paused. */
  waiting: number;
  loaded: boolean;
  /** Trouble, or that it loads. */
  foot: ComponentChildren;
}

/** The events that the gateway keeps and those that come, in one list. args is the choice for the gateway, passes the
 * same one for what comes. */
export function useEventLog(
  args: Arguments,
  keep: number,
  passes: (e: GatewayEvent) => boolean,
  paused = false,
): EventLog {
  const key = JSON.stringify(args);
  const list = useLoad(
    (signal) => get<Page<GatewayEvent>>("/events", { ...args, last: keep }, signal),
    [key],
  );
  const [fresh, set] = useState<GatewayEvent[]>([]);
  useEvents((e) => {
    if (passes(e)) set((l) => [...l, e].slice(-keep));
  });
  useReset(() => {
    set([]);
    list.reload();
  });
  const known = list.data?.items ?? [];
  const newest = known[known.length - 1]?.seq ?? 0;
  const more = fresh.filter((e) => e.seq > newest && passes(e));
  return {
    all: [...known, ...(paused ? [] : more)].slice(-keep),
    waiting: paused ? more.length : 0,
    loaded: list.data !== undefined,
    foot: (
      <>
        <Trouble error={list.error} retry={list.reload} />
        {list.loading && !list.data && <Spinner />}
      </>
    ),
  };
}

/** The newest first. */
export function EventList({ events }: { events: GatewayEvent[] }) {
  return (
    <ul class="events">
      {[...events].reverse().map((e) => (
        <EventLine key={e.seq} event={e} />
      ))}
    </ul>
  );
}
