// SPDX-License-Identifier: Apache-2.0
// Who may not come now, and why; and the limits with who reached them last.
import { useState } from "preact/hooks";
import { get, post, type Page } from "../api";
import { bytes, count, duration } from "../format";
import { useEvents } from "../live";
import { may, type Session } from "../session";
import { text } from "../text";
import type { Answers, Row } from "../types";
import {
  Badge,
  type Column,
  Dialog,
  Empty,
  Field,
  Form,
  Input,
  Link,
  Spinner,
  Table,
  Time,
  Trouble,
  useAction,
  useLoad,
  wrong,
} from "../ui/kit";
import { toast } from "../ui/toast";

const t = text.limits;
type Ban = Row<"ban.list">;
type Limit = Row<"limit.list">;
const times: [number, string][] = [
  [3600, t.hour],
  [86400, t.day],
  [7 * 86400, t.week],
  [30 * 86400, t.month],
];

function AddBan({ close, done }: { close: () => void; done: () => void }) {
  const [network, setNetwork] = useState("");
  const [seconds, setSeconds] = useState(3600);
  const [reason, setReason] = useState("");
  const action = useAction();
  const add = async () => {
    const a = await post<Answers["ban.add"]>("/bans", { network, for: seconds, reason });
    toast(t.added(a.network, a.sessions_closed));
    done();
    close();
  };
  return (
    <Dialog title={t.add} close={close}>
      <Form action={action} run={add} fields={["network", "reason"]} word={t.add}>
        <p class="muted">{t.addHint}</p>
        <Input
          label={t.network}
          hint={t.networkHint}
          value={network}
          set={setNetwork}
          error={wrong(action.error, "network")}
          required
          autofocus
        />
        <Field label={t.for}>
          {(a) => (
            <select {...a} value={seconds} onChange={(e) => setSeconds(Number(e.currentTarget.value))}>
              {times.map(([s, title]) => (
                <option key={s} value={s}>
                  {title}
                </option>
              ))}
            </select>
          )}
        </Field>
        <Input
          label={t.reason}
          value={reason}
          set={setReason}
          error={wrong(action.error, "reason")}
          maxLength={200}
        />
      </Form>
    </Dialog>
  );
}

function Bans({ session }: { session: Session }) {
  const list = useLoad((signal) => get<Page<Ban>>("/bans", {}, signal), []);
  const [adding, add] = useState(false);
  const action = useAction();
  useEvents((e) => {
    if (["ban.changed", "admin.login-refused"].includes(e.event)) list.reload();
  });
  const lift = (b: Ban) =>
    action.run(async () => {
      await post("/bans/remove", { network: b.source });
      toast(t.lifted(b.source));
      list.reload();
    });
  const columns: Column<Ban>[] = [
    { title: t.source, cell: (b) => <code>{b.source}</code> },
    {
      title: t.why,
      cell: (b) => (
        <>
          <Badge tone={b.kind === "ban" ? "bad" : "warn"}>{t.kinds[b.kind]}</Badge>
          <div class="small">{b.reason}</div>
          {b.account && <div class="small muted">{t.account(b.account)}</div>}
        </>
      ),
    },
    { title: t.by, cell: (b) => b.by },
    { title: t.until, cell: (b) => <Time at={b.until} exact /> },
    { title: t.refused, number: true, cell: (b) => count(b.count) },
    { title: t.last, cell: (b) => b.last && <Time at={b.last} /> },
    {
      title: t.change,
      cell: (b) =>
        may(session, b.kind === "login" ? "admin" : "operator") && (
          <button disabled={action.busy} aria-label={t.liftOf(b.source)} onClick={() => lift(b)}>
            {t.lift}
          </button>
        ),
    },
  ];
  return (
    <section class="stack" aria-label={t.bans}>
      <div class="row apart">
        <h2>{t.bans}</h2>
        {may(session, "admin") && (
          <button class="primary" onClick={() => add(true)}>
            {t.add}
          </button>
        )}
      </div>
      <Trouble error={list.error} retry={list.reload} />
      <Trouble error={action.error} />
      {list.loading && !list.data && <Spinner />}
      {list.data && list.data.items.length > 0 && (
        <Table
          label={t.bans}
          columns={columns}
          rows={list.data.items}
          name={(b) => `${b.kind} ${b.source} ${b.account ?? ""}`}
        />
      )}
      {list.data?.items.length === 0 && (
        <div class="card">
          <Empty title={t.nobody}>{t.nobodyHint}</Empty>
        </div>
      )}
      {adding && <AddBan close={() => add(false)} done={list.reload} />}
    </section>
  );
}

/** A value in the unit that its name tells. */
export function amount(name: string, value: number): string {
  if (value === 0) return t.none;
  if (/timeout|age/.test(name) && !/message/.test(name)) return duration(value / 1000);
  if (/bytes|memory|packet|payload|size/.test(name))
    return bytes(value) + (/^publish/.test(name) ? t.perSecond : "");
  return count(value) + (/rate/.test(name) ? t.perSecond : "");
}

const limitColumns: Column<Limit>[] = [
  {
    title: t.limit,
    cell: (l) => <Link href={`/gateway?q=${l.name}`}>{l.name}</Link>,
  },
  { title: t.per, cell: (l) => t.pers[l.per] },
  { title: t.value, number: true, cell: (l) => (l.value === null ? "–" : amount(l.name, l.value)) },
  {
    title: t.reached,
    number: true,
    cell: (l) => (l.refused ? <strong>{count(l.refused)}</strong> : <span class="muted">0</span>),
  },
  { title: t.last, cell: (l) => l.last && <Time at={l.last} /> },
  {
    title: t.who,
    cell: (l) =>
      (l.who ?? l.address) && (
        <>
          {l.who} {l.address && <div class="small muted">{l.address}</div>}
        </>
      ),
  },
];

export function Limits({ session }: { session: Session }) {
  const list = useLoad((signal) => get<Page<Limit>>("/limits", {}, signal), []);
  const rows = [...(list.data?.items ?? [])].sort((a, b) => Number(b.refused > 0) - Number(a.refused > 0));
  return (
    <div class="stack">
      {may(session, "operator") && <Bans session={session} />}
      <section class="stack" aria-label={t.limits}>
        <h2>{t.limits}</h2>
        <p class="muted">{t.limitsHint}</p>
        <Trouble error={list.error} retry={list.reload} />
        {list.loading && !list.data && <Spinner />}
        {rows.length > 0 && (
          <Table label={t.limits} columns={limitColumns} rows={rows} name={(l) => l.name} />
        )}
      </section>
    </div>
  );
}
