// SPDX-License-Identifier: Apache-2.0
// An event in one or two lines: when, how severe, what, who, why.
import type { GatewayEvent, Severity } from "../types";
import { Badge, Link, Time, type Tone } from "./kit";

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

export function EventLine({ event }: { event: GatewayEvent }) {
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
