// SPDX-License-Identifier: Apache-2.0
// One connection closely: its session, what waits for it, its subscriptions, and its packets as they pass.
import type { ComponentChild } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { del, post, segment, watch } from "../api";
import { bytes, count, duration, ofDay } from "../format";
import { text } from "../text";
import type { Answers, Row } from "../types";
import { Badge, type Column, Dialog, explain, Spinner, Table, Time, Trouble, useLoad } from "../ui/kit";

const t = text.client;
const EVERY_MS = 3000;
const KEPT = 500;
const WAIT_MS = 10000;

type Shown = Answers["client.show"];
type Subscription = Shown["subscription_list"][number];
type Line = Row<"trace.show">;

const columns: Column<Subscription>[] = [
  { title: t.filter, cell: (s) => <code>{s.filter}</code> },
  { title: t.qos, number: true, cell: (s) => s.qos },
  {
    title: t.flags,
    cell: (s) =>
      [s.no_local ? t.noLocal : "", s.retain_as_published ? t.asPublished : "", s.partial ? t.partial : ""]
        .filter((x) => x !== "")
        .join(", "),
  },
  {
    title: t.state,
    cell: (s) => (s.active ? <Badge tone="good">{t.active}</Badge> : <Badge tone="warn">{t.inactive}</Badge>),
  },
];

function facts(c: Shown): [string, ComponentChild][] {
  const waits = c.queued_now > 0 || c.dropped > 0;
  return [
    [t.heard, c.heard ? <Time at={c.heard} /> : text.never],
    [t.encryption, [c.tls_version, c.cipher, c.group].filter((x) => x).join(", ") || t.plain],
    [t.transport, [c.transport, c.listener].filter((x) => x).join(", ")],
    [t.keepAlive, c.keep_alive ? duration(c.keep_alive) : text.none],
    [t.session, c.session_expiry ? t.kept(duration(c.session_expiry)) : t.notKept],
    [
      t.waiting,
      <span>
        {`${count(c.queued_now)} (${bytes(c.queued_bytes)})`}{" "}
        {waits && <Badge tone="warn">{t.dropped(count(c.dropped))}</Badge>}
      </span>,
    ],
    [t.inFlight, t.flights(count(c.in_flight), count(c.received))],
    [t.unsent, bytes(c.unsent_bytes ?? 0)],
    [t.will, c.will ? text.yes : text.no],
  ];
}

/** "PUBLISH a/b QoS 1, 43 B". */
function said(l: Line): string {
  const known = new Set([
    "seq",
    "time",
    "direction",
    "address",
    "client_id",
    "device",
    "packet",
    "topic",
    "payload",
  ]);
  const rest = Object.entries(l)
    .filter(([k, v]) => !known.has(k) && v !== null && v !== false)
    .map(([k, v]) => `${k.replaceAll("_", " ")} ${typeof v === "string" ? v : JSON.stringify(v)}`);
  return rest.join(", ");
}

/** The packets of a client until the function that it returns is called. */
function trace(clientId: string, line: (l: Line[]) => void, trouble: (e: unknown) => void): () => void {
  const abort = new AbortController();
  const run = async () => {
    const { id } = await post<Answers["trace.start"]>("/traces", { "client-id": clientId, payload: true });
    try {
      let after = 0;
      for (;;) {
        const got = await watch<Answers["trace.show"]>(
          `/traces/${id}`,
          { after, wait: WAIT_MS },
          abort.signal,
        );
        if (got.items.length > 0) line(got.items);
        after = got.items.at(-1)?.seq ?? after;
        if (got.ended !== null) return;
      }
    } finally {
      await del(`/traces/${id}`).catch(() => undefined);
    }
  };
  run().catch((e: unknown) => {
    if (!abort.signal.aborted) trouble(e);
  });
  return () => abort.abort();
}

function Packets({ clientId }: { clientId: string }) {
  const [on, setOn] = useState(false);
  const [lines, set] = useState<Line[]>([]);
  const [error, setError] = useState<unknown>();
  useEffect(() => {
    if (!on) return;
    setError(undefined);
    return trace(
      clientId,
      (more) => set((l) => [...l, ...more].slice(-KEPT)),
      (e) => {
        setError(e);
        setOn(false);
      },
    );
  }, [on]);
  return (
    <section class="stack" aria-label={t.packets}>
      <div class="row apart">
        <h3>{t.packets}</h3>
        <button aria-pressed={on} onClick={() => setOn(!on)}>
          {on ? t.stop : t.start}
        </button>
      </div>
      {error !== undefined && <p class="wrong">{explain(error)}</p>}
      {!on && lines.length === 0 && <p class="small muted">{t.packetsHint}</p>}
      {on && lines.length === 0 && <p class="muted">{t.listening}</p>}
      {lines.length > 0 && (
        <ol class="plain packets" tabIndex={0} aria-label={t.packets}>
          {[...lines].reverse().map((l) => (
            <li key={l.seq}>
              <span class="small muted mono" title={l.time}>
                {ofDay(l.time)}
              </span>{" "}
              <Badge tone={l.direction === "in" ? "accent" : ""}>
                {l.direction === "in" ? t.toUs : l.direction === "out" ? t.toIt : t.end}
              </Badge>{" "}
              <strong>{typeof l.packet === "string" ? l.packet : ""}</strong>{" "}
              {typeof l.topic === "string" && <code>{l.topic}</code>}{" "}
              <span class="small muted">{said(l)}</span>
              {typeof l.payload === "string" && <code class="small payload">{l.payload}</code>}
            </li>
          ))}
        </ol>
      )}
    </section>
  );
}

export function ClientDialog(props: { clientId: string; operator: boolean; close: () => void }) {
  const load = useLoad(
    (signal) => watch<Shown>(`/clients/${segment(props.clientId)}`, {}, signal),
    [props.clientId],
  );
  const reload = useRef(load.reload);
  reload.current = load.reload;
  useEffect(() => {
    const timer = setInterval(() => reload.current(), EVERY_MS);
    return () => clearInterval(timer);
  }, []);
  const c = load.data;
  return (
    <Dialog title={t.title(props.clientId)} close={props.close} wide>
      <Trouble error={load.error} retry={load.reload} />
      {!c && load.loading && <Spinner />}
      {c && (
        <dl class="facts two">
          {facts(c).map(([name, value]) => (
            <div key={name}>
              <dt>{name}</dt>
              <dd>{value}</dd>
            </div>
          ))}
        </dl>
      )}
      {c && (
        <section class="stack" aria-label={t.subscriptions}>
          <h3>{t.subscriptions}</h3>
          {c.subscription_list.length === 0 ? (
            <p class="muted">{t.noSubscriptions}</p>
          ) : (
            <Table
              label={t.subscriptions}
              columns={columns}
              rows={c.subscription_list}
              name={(s) => s.filter}
            />
          )}
          {c.subscriptions_left_out > 0 && <p class="muted">{text.diff.more(c.subscriptions_left_out)}</p>}
        </section>
      )}
      {props.operator && c && <Packets clientId={props.clientId} />}
    </Dialog>
  );
}
