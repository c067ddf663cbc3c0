// SPDX-License-Identifier: Apache-2.0
// The anomaly log: what happened, as it happens, or grouped by who did the same again and again.
import { useState } from "preact/hooks";
import type { PageProps } from "../app";
import { count } from "../format";
import { writeCsv } from "../csv";
import { setQuery } from "../router";
import { may } from "../session";
import { text } from "../text";
import type { GatewayEvent, Severity } from "../types";
import { Acknowledge, type Acknowledging, details, EventList, EventName, useEventLog } from "../ui/event";
import { type Column, Empty, Link, Table, Time } from "../ui/kit";
import { download, tabOf, Tabs } from "../ui/pages";

const t = text.events;
const KEPT = 500;
const severities: Severity[] = ["debug", "info", "notice", "warning", "error", "critical"];

export interface Filter {
  severity: Severity;
  name: string;
  device: string;
  state: State;
}

const states = ["", "open", "acknowledged"] as const;
export type State = (typeof states)[number];

/** The same choice as the gateway's, for events that arrive on the stream. */
export function passes(e: GatewayEvent, f: Filter): boolean {
  const name = f.name === "" || e.event === f.name || e.event.startsWith(`${f.name}.`);
  const device = f.device === "" || e.device === f.device || e.actor === f.device;
  const state = f.state === "" || (e.acknowledged === null) === (f.state === "open");
  return name && device && state && severities.indexOf(e.severity) >= severities.indexOf(f.severity);
}

export interface Group {
  key: string;
  event: string;
  severity: Severity;
  who: string;
  reason: string;
  times: number;
  /** How many nobody has acknowledged. */
  open: number;
  first: string;
  last: GatewayEvent;
}

/** One row for all events of one kind by one actor for one reason, the newest first. */
export function grouped(events: readonly GatewayEvent[]): Group[] {
  const groups = new Map<string, Group>();
  for (const e of events) {
    const who = e.device ?? e.actor ?? (e.address ?? "").replace(/:\d+$/, "");
    const key = JSON.stringify([e.event, who, e.reason]);
    const g = groups.get(key);
    groups.delete(key);
    groups.set(key, {
      key,
      event: e.event,
      severity: e.severity,
      who,
      reason: e.reason ?? "",
      times: (g?.times ?? 0) + 1,
      open: (g?.open ?? 0) + (e.acknowledged === null ? 1 : 0),
      first: g?.first ?? e.time,
      last: e,
    });
  }
  return [...groups.values()].reverse();
}

export function csv(events: readonly GatewayEvent[]): string {
  const head = [
    "seq",
    "time",
    "event",
    "severity",
    "device",
    "actor",
    "client_id",
    "address",
    "listener",
    "reason",
  ];
  const rows = events.map((e) => [
    e.seq,
    e.time,
    e.event,
    e.severity,
    e.device,
    e.actor,
    e.client_id,
    e.address,
    e.listener,
    e.reason,
    details(e),
  ]);
  return writeCsv([...head, "detail"], rows);
}

function Filters({ filter }: { filter: Filter }) {
  return (
    <form class="row" role="search" onSubmit={(e) => e.preventDefault()}>
      <label class="grow">
        <span class="visually-hidden">{t.severity}</span>
        <select value={filter.severity} onChange={(e) => setQuery({ severity: e.currentTarget.value })}>
          {severities.map((s) => (
            <option key={s} value={s}>
              {t.atLeast(s)}
            </option>
          ))}
        </select>
      </label>
      <label class="grow">
        <span class="visually-hidden">{t.name}</span>
        <input
          list="event-names"
          placeholder={t.name}
          value={filter.name}
          onChange={(e) => setQuery({ name: e.currentTarget.value.trim() })}
        />
        <datalist id="event-names">
          {[
            "client",
            "login",
            "handshake",
            "acl",
            "certificate",
            "enrol",
            "device",
            "admin",
            "limit",
            "process",
          ].map((n) => (
            <option key={n} value={n} />
          ))}
        </datalist>
      </label>
      <label class="grow">
        <span class="visually-hidden">{t.device}</span>
        <input
          placeholder={t.device}
          value={filter.device}
          onChange={(e) => setQuery({ device: e.currentTarget.value.trim() })}
        />
      </label>
      <label class="grow">
        <span class="visually-hidden">{t.state}</span>
        <select value={filter.state} onChange={(e) => setQuery({ state: e.currentTarget.value })}>
          {states.map((s) => (
            <option key={s} value={s}>
              {t.states[s]}
            </option>
          ))}
        </select>
      </label>
    </form>
  );
}

/** All of a group, as far as it was seen. */
function acknowledging(g: Group): Acknowledging {
  return {
    title: t.acknowledgeAll(count(g.open), g.event),
    args: { name: g.event, who: g.who, reason: g.reason || null, through: g.last.seq },
  };
}

function GroupTable(props: { events: GatewayEvent[]; operator: boolean; done: () => void }) {
  const [what, setWhat] = useState<Acknowledging>();
  const columns: Column<Group>[] = [
    { title: t.what, cell: (g) => <EventName event={g.event} severity={g.severity} /> },
    {
      title: t.who,
      cell: (g) =>
        g.last.device ? <Link href={`/devices/${encodeURIComponent(g.last.device)}`}>{g.who}</Link> : g.who,
    },
    { title: t.why, cell: (g) => g.reason },
    { title: t.times, number: true, cell: (g) => count(g.times) },
    { title: t.first, cell: (g) => <Time at={g.first} /> },
    { title: t.last, cell: (g) => <Time at={g.last.time} /> },
    { title: t.newest, cell: (g) => <span class="small muted">{details(g.last)}</span> },
    {
      title: t.acknowledge,
      cell: (g) =>
        props.operator && g.who !== "" && g.open > 0 ? (
          <button onClick={() => setWhat(acknowledging(g))}>{t.acknowledge}</button>
        ) : null,
    },
  ];
  return (
    <>
      <Table label={t.grouped} columns={columns} rows={grouped(props.events)} name={(g) => g.key} />
      {what && <Acknowledge what={what} close={() => setWhat(undefined)} done={props.done} />}
    </>
  );
}

const tabs = [
  { id: "events", title: t.events },
  { id: "groups", title: t.grouped },
];

export default function Events({ place, session }: PageProps) {
  const operator = may(session, "operator");
  const q = place.query;
  const severity = severities.find((s) => s === q.get("severity")) ?? "notice";
  const state = states.find((s) => s === q.get("state")) ?? "";
  const filter: Filter = { severity, name: q.get("name") ?? "", device: q.get("device") ?? "", state };
  const [paused, setPaused] = useState(false);
  const { all, waiting, foot, loaded, reload } = useEventLog(
    { ...filter },
    KEPT,
    (e) => passes(e, filter),
    paused,
  );
  const shown = tabOf(place, tabs);
  return (
    <>
      <div class="row apart">
        <h1>{t.title}</h1>
        <div class="row">
          <button aria-pressed={paused} onClick={() => setPaused(!paused)}>
            {paused ? t.go(waiting) : t.pause}
          </button>
          <button
            onClick={() => download("events.jsonl", all.map((e) => JSON.stringify(e)).join("\n") + "\n")}
          >
            {t.saveJson}
          </button>
          <button onClick={() => download("events.csv", csv(all), "text/csv")}>{t.saveCsv}</button>
        </div>
      </div>
      <Tabs place={place} tabs={tabs} label={t.title} />
      <Filters filter={filter} />
      {foot}
      {loaded && all.length === 0 && (
        <div class="card">
          <Empty title={t.none}>{t.noneHint}</Empty>
        </div>
      )}
      {all.length > 0 && shown === "groups" && <GroupTable events={all} operator={operator} done={reload} />}
      {all.length > 0 && shown === "events" && (
        <section class="card" aria-label={t.events}>
          <EventList events={all} operator={operator} done={reload} />
        </section>
      )}
    </>
  );
}
