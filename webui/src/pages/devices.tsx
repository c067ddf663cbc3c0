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
import { usePages } from "../ui/pages";
import { DevicePage } from "./device";

const t = text.devices;
const PAGE = 50;
const SEARCH_MS = 250;
const LIVE_MS = 3000;

export const deviceHref = (name: string) => `/devices/${encodeURIComponent(name)}`;

export function State({ device }: { device: Device }) {
  if (!device.enabled) return <Badge tone="bad">{t.disabled}</Badge>;
  if (device.connection_count > 0) return <Badge tone="good">{t.connected}</Badge>;
  if (device.barred) return <Badge tone="warn">{t.barred(device.barred)}</Badge>;
  return <Badge>{t.away}</Badge>;
}

const columns: Column<Device>[] = [
  { title: t.name, sort: "name", cell: (d) => <Link href={deviceHref(d.name)}>{d.name}</Link> },
  { title: t.state, cell: (d) => <State device={d} /> },
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
function useRefresh(reload: () => void): void {
  const [due, set] = useState(false);
  useEvents((e) => {
    if (e.event.startsWith("device.") || e.event.startsWith("client.")) set(true);
  });
  useEffect(() => {
    if (!due) return;
    const timer = setTimeout(() => {
      set(false);
      reload();
    }, LIVE_MS);
    return () => clearTimeout(timer);
  }, [due]);
}

function List({ place, session }: PageProps) {
  const match = place.query.get("q") ?? "";
  const group = place.query.get("group") ?? "";
  const [typed, setTyped] = useState(match);
  const sort = place.query.get("sort") ?? "name";
  const args = {
    match,
    group,
    sort: sort.replace(/^-/, ""),
    order: sort.startsWith("-") ? "desc" : "asc",
    limit: PAGE,
  } satisfies Takes["device.list"];
  const list = usePages<Device>("/devices", args);
  useEffect(() => {
    if (typed === match) return;
    const timer = setTimeout(() => setQuery({ q: typed }), SEARCH_MS);
    return () => clearTimeout(timer);
  }, [typed]);
  useRefresh(() => {
    if (list.rows.length <= PAGE) list.reload();
  });
  const rows = list.rows;
  const filtered = match !== "" || group !== "";
  return (
    <>
      <div class="row apart">
        <h1>{t.title}</h1>
        {may(session, "operator") && (
          <Link class="button primary" href="/add-device">
            {t.add}
          </Link>
        )}
      </div>
      <form class="row" role="search" onSubmit={(e) => e.preventDefault()}>
        <label class="grow">
          <span class="visually-hidden">{t.search}</span>
          <input
            type="search"
            placeholder={t.search}
            value={typed}
            onInput={(e) => setTyped(e.currentTarget.value)}
          />
        </label>
        <label class="grow">
          <span class="visually-hidden">{t.group}</span>
          <input
            placeholder={t.group}
            value={group}
            onChange={(e) => setQuery({ group: e.currentTarget.value.trim() })}
          />
        </label>
      </form>
      {rows.length > 0 && (
        <Table
          label={t.title}
          columns={columns}
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
              <button
                onClick={() => {
                  setTyped("");
                  setQuery({ q: "", group: "" });
                }}
              >
                {t.clear}
              </button>
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
