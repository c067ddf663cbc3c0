// SPDX-License-Identifier: Apache-2.0
// Where the gateway listens, what is asked for there, and how full it is; and where its log is.
import { get, type Page } from "../api";
import { text } from "../text";
import type { ListenerState, Setting, Status } from "../types";
import { Badge, Copy, Spinner, Table, Trouble, useLoad, type Column } from "../ui/kit";

const t = text.listeners;

interface Row extends ListenerState {
  /** Settings of the listener by their last word. */
  set: Record<string, string>;
}

async function load(signal: AbortSignal): Promise<Row[]> {
  const [status, config] = await Promise.all([
    get<Status>("/status", {}, signal),
    get<Page<Setting>>("/config", {}, signal),
  ]);
  return status.listeners.map((l) => {
    const start = `listener.${l.name}.`;
    const own = config.items.filter((s) => s.key.startsWith(start));
    return { ...l, set: Object.fromEntries(own.map((s) => [s.key.slice(start.length), s.value])) };
  });
}

function Encryption({ row }: { row: Row }) {
  if (row.protocol === "control") return <span class="muted">{t.local}</span>;
  if (row.protocol === "https" || row.set.tls === "on") return <Badge tone="good">TLS</Badge>;
  return <Badge tone="bad">{t.plain}</Badge>;
}

export function Listeners() {
  const list = useLoad(load, []);
  const columns: Column<Row>[] = [
    { title: t.name, cell: (r) => <strong>{r.name}</strong> },
    { title: t.address, cell: (r) => <code>{r.address}</code> },
    { title: t.protocol, cell: (r) => r.protocol },
    { title: t.encryption, cell: (r) => <Encryption row={r} /> },
    { title: t.auth, cell: (r) => r.set.auth ?? "–" },
    { title: t.from, cell: (r) => r.set["allow-from"] || (r.set.bind ? t.everywhere : "–") },
    { title: t.connections, number: true, cell: (r) => r.connections },
    { title: t.limit, number: true, cell: (r) => r.set["max-connections"] ?? "–" },
  ];
  return (
    <section class="stack" aria-label={t.title}>
      <p class="muted">{t.hint}</p>
      <Trouble error={list.error} retry={list.reload} />
      {list.loading && !list.data && <Spinner />}
      {list.data && (
        <Table label={t.title} columns={columns} rows={list.data} name={(r) => `${r.name} ${r.address}`} />
      )}
      <h2>{t.log}</h2>
      <p class="muted">{t.logHint}</p>
      <Copy value="journalctl -u gatehouse -n 200 -f" label={t.log} />
    </section>
  );
}
