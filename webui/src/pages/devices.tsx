// SPDX-License-Identifier: Apache-2.0
// Devices: the list with its search, and one device.
import { useEffect, useState } from "preact/hooks";
import type { PageProps } from "../app";
import { useEvents } from "../live";
import { setQuery } from "../router";
import { may } from "../session";
import { text } from "../text";
import type { Device, Takes } from "../types";
import { Badge, type Column, Empty, Link, Table, Time } from "../ui/kit";
import { Typed, usePages } from "../ui/pages";
import { BulkBar, SaveList, selectColumn, useSelection } from "./devices-bulk";
import { DevicePage } from "./device";

const t = text.devices;
const PAGE = 50;
const LIVE_MS = 3000;

export const deviceHref = (name: string) => `/devices/${encodeURIComponent(name)}`;

const WRITTEN_MS = 4500; // until what lists are narrowed and ordered by follows what happens
const STATES = ["", "connected", "away", "never", "barred", "disabled"] as const;

export function State({ device }: { device: Device }) {
  switch (device.state) {
    case "disabled":
      return <Badge tone="bad">{t.disabled}</Badge>;
    case "connected":
      return <Badge tone="good">{t.connected}</Badge>;
    case "barred":
      return (
        <>
          <Badge tone="warn">{t.states.barred}</Badge> <span class="small muted">{device.barred}</span>
        </>
      );
    case "never":
      return <Badge>{t.never}</Badge>;
    default:
      return <Badge>{t.away}</Badge>;
  }
}

/** When it was there last. */
export function Seen({ device }: { device: Device }) {
  return device.state === "connected" ? <>{t.now}</> : <Time at={device.last_seen} />;
}

const columns: Column<Device>[] = [
  { title: t.name, sort: "name", cell: (d) => <Link href={deviceHref(d.name)}>{d.name}</Link> },
  { title: t.state, sort: "state", cell: (d) => <State device={d} /> },
  { title: t.seen, sort: "seen", cell: (d) => <Seen device={d} /> },
  { title: t.kind, sort: "kind", cell: (d) => d.kind },
  { title: t.groups, cell: (d) => d.groups.join(", ") },
  { title: t.roles, cell: (d) => d.roles.join(", ") },
  {
    title: t.proof,
    cell: (d) =>
      [d.certificate_count > 0 ? t.certificates(d.certificate_count) : "", d.password ? t.password : ""]
        .filter((s) => s)
        .join(", ") || text.none,
  },
  {
    title: t.ends,
    sort: "certificate",
    cell: (d) => (d.certificate_end === null ? text.none : <Time at={d.certificate_end} />),
  },
  { title: t.added, sort: "created", cell: (d) => <Time at={d.created} /> },
  { title: t.note, cell: (d) => d.note },
];

/** The first page again now and then when devices come and go. */
function useRefresh(reload: () => void, after: number): void {
  const [due, set] = useState(false);
  useEvents((e) => {
    if (e.event.startsWith("device.") || e.event.startsWith("client.")) set(true);
  });
  useEffect(() => {
    if (!due) return;
    const timer = setTimeout(() => {
      set(false);
      reload();
    }, after);
    return () => clearTimeout(timer);
  }, [due]);
}

function List({ place, session }: PageProps) {
  const match = place.query.get("q") ?? "";
  const group = place.query.get("group") ?? "";
  const kind = place.query.get("kind") ?? "";
  const state = place.query.get("state") ?? "";
  const sort = place.query.get("sort") ?? "name";
  const args = {
    match,
    group,
    kind,
    state,
    count: true,
    sort: sort.replace(/^-/, ""),
    order: sort.startsWith("-") ? "desc" : "asc",
    limit: PAGE,
  } satisfies Takes["device.list"];
  const list = usePages<Device>("/devices", args);
  const late = state !== "" || args.sort === "seen" || args.sort === "state";
  useRefresh(
    () => {
      if (list.rows.length <= PAGE) list.reload();
    },
    late ? WRITTEN_MS : LIVE_MS,
  );
  const rows = list.rows;
  const selection = useSelection(rows);
  const filtered = match !== "" || group !== "" || kind !== "" || state !== "";
  return (
    <>
      <div class="row apart">
        <div class="row">
          <h1>{t.title}</h1>
          <span class="muted" aria-live="polite">
            {list.total !== undefined && t.fit(list.total)}
          </span>
        </div>
        {may(session, "operator") && (
          <div class="row">
            <Link class="button" href="/import-devices">
              {text.bulk.link}
            </Link>
            <Link class="button primary" href="/add-device">
              {t.add}
            </Link>
          </div>
        )}
      </div>
      <form class="row" role="search" onSubmit={(e) => e.preventDefault()}>
        <Typed type="search" label={t.search} value={match} set={(q) => setQuery({ q })} />
        <Typed label={t.group} value={group} set={(group) => setQuery({ group })} />
        <Typed label={t.ofKind} value={kind} set={(kind) => setQuery({ kind })} />
        <label class="grow">
          <span class="visually-hidden">{t.inState}</span>
          <select value={state} onChange={(e) => setQuery({ state: e.currentTarget.value })}>
            {STATES.map((s) => (
              <option key={s} value={s}>
                {t.states[s]}
              </option>
            ))}
          </select>
        </label>
        {rows.length > 0 && <SaveList filter={args} />}
      </form>
      <BulkBar selection={selection} rows={rows} session={session} reload={list.reload} />
      {rows.length > 0 && (
        <Table
          label={t.title}
          columns={[selectColumn(selection, rows), ...columns]}
          rows={rows}
          name={(d) => d.name}
          sort={sort}
          onSort={(s) => setQuery({ sort: s === "name" ? "" : s })}
        />
      )}
      {list.loaded && rows.length === 0 && (
        <div class="card">
          {filtered ? (
            <Empty title={t.noMatch}>
              <button onClick={() => setQuery({ q: "", group: "", kind: "", state: "" })}>{t.clear}</button>
            </Empty>
          ) : (
            <Empty title={t.empty}>
              <p>{t.emptyHint}</p>
              <Link class="button primary" href="/add-device">
                {t.add}
              </Link>
            </Empty>
          )}
        </div>
      )}
      {list.foot}
    </>
  );
}

export default function Devices(props: PageProps) {
  const name = props.place.parts[1];
  return name === undefined ? <List {...props} /> : <DevicePage key={name} name={name} {...props} />;
}
