// SPDX-License-Identifier: Apache-2.0
// The gateway itself: settings, administrators, API tokens, sessions, and the audit log.
import { useState } from "preact/hooks";
import type { PageProps } from "../app";
import { del, get, patch, post, put, segment, type Page } from "../api";
import { setQuery } from "../router";
import { may, type Level, type Session } from "../session";
import { text } from "../text";
import type { Administrator, Answers, Row, Setting, Token } from "../types";
import {
  Alert,
  Badge,
  type Column,
  Copy,
  Dialog,
  Empty,
  Field,
  Form,
  Input,
  Spinner,
  Table,
  Time,
  Trouble,
  useAction,
  useLoad,
  words,
  wrong,
} from "../ui/kit";
import { isRisky, settingsChanged, useSettings, WAIT } from "../ui/held";
import { type Move, Moved } from "../ui/moved";
import { Confirm, Filters, Forbidden, Listing, tabOf, Tabs, usePages } from "../ui/pages";
import { toast } from "../ui/toast";
import { Backup, Changes } from "./gateway-changes";
import { Limits } from "./gateway-limits";
import { Listeners } from "./gateway-listeners";
import { Log } from "./gateway-log";
import { System } from "./gateway-system";

const t = text.gateway;

function fixed(s: Setting): boolean {
  return s.file_only || s.source === "file" || s.source === "command-line";
}

function EditSetting(props: { setting: Setting; close: () => void; moved: (m: Move) => void }) {
  const { setting, close } = props;
  const [value, set] = useState(setting.value);
  const [ask, setAsk] = useState(isRisky(setting.key) && !setting.restart);
  const action = useAction();
  const save = async (to: string) => {
    const answer = await put<Answers["config.set"]>(`/config/${segment(setting.key)}`, {
      value: to,
      ...(ask ? { "confirm-within": WAIT } : {}),
    });
    if (!answer.token) toast(answer.restart ? t.restartNeeded : t.saved(setting.key));
    if (answer.warning)
      props.moved({
        warning: answer.warning,
        bind: setting.key === "admin.bind" ? answer.value : "",
      });
    settingsChanged();
    close();
  };
  return (
    <Dialog title={setting.key} close={close}>
      <Form
        action={action}
        run={() => save(value)}
        fields={["value"]}
        word={text.save}
        more={
          setting.source === "settings" && (
            <button type="button" disabled={action.busy} onClick={() => action.run(() => save(""))}>
              {t.toDefault}
            </button>
          )
        }
      >
        <p class="muted">{setting.text}</p>
        {setting.restart && <Alert>{t.restartHint}</Alert>}
        <Input label={t.value} value={value} set={set} error={wrong(action.error, "value")} autofocus />
        {!setting.restart && (
          <label class="check">
            <input type="checkbox" checked={ask} onChange={(e) => setAsk(e.currentTarget.checked)} />{" "}
            {text.held.ask(WAIT)}
          </label>
        )}
      </Form>
    </Dialog>
  );
}

function Settings({ session, search }: { session: Session; search: string }) {
  const list = useLoad((signal) => get<Page<Setting>>("/config", {}, signal), []);
  const [editing, setEditing] = useState<Setting>();
  const [move, setMove] = useState<Move>();
  useSettings(list.reload);
  const needle = search.toLowerCase();
  const rows = (list.data?.items ?? []).filter((s) => `${s.key} ${s.text}`.toLowerCase().includes(needle));
  const columns: Column<Setting>[] = [
    {
      title: t.setting,
      cell: (s) => (
        <>
          <code>{s.key}</code>
          <br />
          <span class="small muted">{s.text}</span>
        </>
      ),
    },
    { title: t.value, cell: (s) => <code>{s.value || "–"}</code> },
    {
      title: t.origin,
      cell: (s) =>
        s.source === "default" ? (
          <span class="muted">{t.byDefault}</span>
        ) : (
          <span class="small">{s.origin}</span>
        ),
    },
    {
      title: t.change,
      cell: (s) =>
        fixed(s) ? (
          <span class="small muted">{t.inFile}</span>
        ) : may(session, "admin") ? (
          <button onClick={() => setEditing(s)}>{t.change}</button>
        ) : null,
    },
  ];
  return (
    <section class="stack" aria-label={t.settings}>
      <label>
        <span class="visually-hidden">{text.search}</span>
        <input
          type="search"
          placeholder={text.search}
          value={search}
          onInput={(e) => setQuery({ q: e.currentTarget.value })}
        />
      </label>
      <Trouble error={list.error} retry={list.reload} />
      {list.loading && !list.data && <Spinner />}
      {rows.length > 0 && <Table label={t.settings} columns={columns} rows={rows} name={(s) => s.key} />}
      {list.data && rows.length === 0 && <Empty title={t.noSetting} />}
      {editing && <EditSetting setting={editing} close={() => setEditing(undefined)} moved={setMove} />}
      {move && <Moved move={move} close={() => setMove(undefined)} />}
    </section>
  );
}

const levels = ["viewer", "operator", "admin"];

function LevelField({ value, set, error }: { value: string; set: (v: string) => void; error: string }) {
  return (
    <Field label={t.level} hint={t.levelHint} error={error}>
      {(a) => (
        <select {...a} value={value} onChange={(e) => set(e.currentTarget.value)}>
          {levels.map((l) => (
            <option key={l}>{l}</option>
          ))}
        </select>
      )}
    </Field>
  );
}

function AddAdministrator({ close, done }: { close: () => void; done: () => void }) {
  const [name, setName] = useState("");
  const [level, setLevel] = useState("viewer");
  const [password, setPassword] = useState("");
  const action = useAction();
  const e = action.error;
  const add = async () => {
    await post("/administrators", { name, level, password });
    toast(t.adminAdded(name));
    done();
    close();
  };
  return (
    <Dialog title={t.addAdmin} close={close}>
      <Form action={action} run={add} fields={["name", "level", "password"]} word={t.addAdmin}>
        <Input
          label={t.name}
          value={name}
          set={setName}
          error={wrong(e, "name")}
          required
          autofocus
          autocomplete="off"
        />
        <LevelField value={level} set={setLevel} error={wrong(e, "level")} />
        <Input
          label={t.password}
          hint={t.passwordHint}
          type="password"
          value={password}
          set={setPassword}
          error={wrong(e, "password")}
          required
          autocomplete="new-password"
        />
      </Form>
    </Dialog>
  );
}

function Administrators({ session }: { session: Session }) {
  const list = usePages<Administrator>("/administrators", {});
  const [adding, setAdding] = useState(false);
  const [removing, setRemoving] = useState<Administrator>();
  const action = useAction();
  const change = (a: Administrator, what: { level?: string; enabled?: boolean; totp?: boolean }) =>
    action.run(async () => {
      await patch(`/administrators/${segment(a.name)}`, what);
      toast(t.adminChanged(a.name));
      list.reload();
    });
  const columns: Column<Administrator>[] = [
    { title: t.name, cell: (a) => (a.name === session.name ? <strong>{a.name}</strong> : a.name) },
    {
      title: t.level,
      cell: (a) => (
        <select
          aria-label={t.levelOf(a.name)}
          value={a.level}
          onChange={(e) => change(a, { level: e.currentTarget.value })}
        >
          {levels.map((l) => (
            <option key={l}>{l}</option>
          ))}
        </select>
      ),
    },
    {
      title: t.enabled,
      cell: (a) => <Badge tone={a.enabled ? "good" : "bad"}>{a.enabled ? text.yes : text.no}</Badge>,
    },
    {
      title: t.secondFactor,
      cell: (a) => <Badge tone={a.totp ? "good" : "warn"}>{a.totp ? text.yes : text.no}</Badge>,
    },
    { title: t.lastLogin, cell: (a) => <Time at={a.seen} /> },
    {
      title: t.change,
      cell: (a) =>
        a.name === session.name ? null : (
          <div class="row">
            <button disabled={action.busy} onClick={() => change(a, { enabled: !a.enabled })}>
              {a.enabled ? t.disable : t.enable}
            </button>
            {a.totp && (
              <button disabled={action.busy} onClick={() => change(a, { totp: false })}>
                {t.dropFactor}
              </button>
            )}
            <button class="danger" onClick={() => setRemoving(a)}>
              {text.remove}
            </button>
          </div>
        ),
    },
  ];
  return (
    <section class="stack" aria-label={t.administrators}>
      <div class="row apart">
        <p class="muted">{t.adminsHint}</p>
        <button class="primary" onClick={() => setAdding(true)}>
          {t.addAdmin}
        </button>
      </div>
      <Trouble error={action.error} />
      <Listing label={t.administrators} list={list} columns={columns} name={(a) => a.name} />
      {adding && <AddAdministrator close={() => setAdding(false)} done={list.reload} />}
      {removing && (
        <Confirm
          title={t.removeAdmin(removing.name)}
          hint={t.removeAdminHint}
          word={text.remove}
          close={() => setRemoving(undefined)}
          run={async () => {
            await del(`/administrators/${segment(removing.name)}`);
            list.reload();
          }}
        />
      )}
    </section>
  );
}

function AddToken({ close, done }: { close: () => void; done: () => void }) {
  const [name, setName] = useState("");
  const [level, setLevel] = useState("viewer");
  const [operations, setOperations] = useState("");
  const [days, setDays] = useState("90");
  const [made, setMade] = useState("");
  const action = useAction();
  const e = action.error;
  const add = async () => {
    const list = words(operations);
    const answer = await post<Answers["token.add"]>("/tokens", {
      name,
      level,
      ttl: Math.round(Number(days) * 86400),
      ...(list.length > 0 ? { operations: list } : {}),
    });
    setMade(answer.token);
    done();
  };
  if (made)
    return (
      <Dialog title={t.tokenMade} close={close}>
        <p>{t.tokenOnce}</p>
        <Copy value={made} label={t.token} />
        <p class="small muted">{t.tokenUse}</p>
      </Dialog>
    );
  return (
    <Dialog title={t.addToken} close={close}>
      <Form action={action} run={add} fields={["name", "level", "operations", "ttl"]} word={t.addToken}>
        <Input
          label={t.name}
          hint={t.tokenNameHint}
          value={name}
          set={setName}
          error={wrong(e, "name")}
          required
          autofocus
        />
        <LevelField value={level} set={setLevel} error={wrong(e, "level")} />
        <Input
          label={t.operations}
          hint={t.operationsHint}
          value={operations}
          set={setOperations}
          error={wrong(e, "operations")}
        />
        <Input label={t.days} type="number" value={days} set={setDays} error={wrong(e, "ttl")} required />
      </Form>
    </Dialog>
  );
}

function Tokens() {
  const list = usePages<Token>("/tokens", {});
  const [adding, setAdding] = useState(false);
  const [removing, setRemoving] = useState<Token>();
  const columns: Column<Token>[] = [
    { title: t.name, cell: (x) => x.name },
    { title: t.level, cell: (x) => x.level },
    { title: t.operations, cell: (x) => x.operations.join(", ") || t.everything },
    {
      title: t.ends,
      cell: (x) => (x.expired ? <Badge tone="bad">{t.ended}</Badge> : <Time at={x.expires} />),
    },
    { title: t.lastSeen, cell: (x) => <Time at={x.seen} /> },
    {
      title: t.change,
      cell: (x) => (
        <button class="danger" onClick={() => setRemoving(x)}>
          {text.remove}
        </button>
      ),
    },
  ];
  return (
    <section class="stack" aria-label={t.tokens}>
      <div class="row apart">
        <p class="muted">{t.tokensHint}</p>
        <button class="primary" onClick={() => setAdding(true)}>
          {t.addToken}
        </button>
      </div>
      <Listing label={t.tokens} list={list} columns={columns} name={(x) => x.name} empty={t.noTokens} />
      {removing && (
        <Confirm
          title={t.removeToken(removing.name)}
          hint={t.removeTokenHint}
          word={text.remove}
          close={() => setRemoving(undefined)}
          run={async () => {
            await del(`/tokens/${segment(removing.name)}`);
            toast(t.tokenRemoved(removing.name));
            list.reload();
          }}
        />
      )}
      {adding && <AddToken close={() => setAdding(false)} done={list.reload} />}
    </section>
  );
}

type AuditRow = Row<"audit.list">;

function Audit({ place }: { place: PageProps["place"] }) {
  const actor = place.query.get("actor") ?? "";
  const operation = place.query.get("operation") ?? "";
  const target = place.query.get("target") ?? "";
  const list = usePages<AuditRow>("/audit", { actor, operation, target, limit: 50 });
  const columns: Column<AuditRow>[] = [
    { title: t.when, cell: (r) => <Time at={r.time} exact /> },
    {
      title: t.who,
      cell: (r) => (
        <>
          {r.actor}
          {/[.:]/.test(r.source) && <div class="small muted">{r.source}</div>}
        </>
      ),
    },
    { title: t.operation, cell: (r) => <code>{r.operation}</code> },
    { title: t.target, cell: (r) => r.target },
    { title: t.outcome, cell: (r) => <Badge tone={r.outcome === "ok" ? "good" : "warn"}>{r.outcome}</Badge> },
    { title: t.why, cell: (r) => r.why },
  ];
  const filters: [string, string][] = [
    ["actor", t.who],
    ["operation", t.operation],
    ["target", t.target],
  ];
  return (
    <section class="stack" aria-label={t.audit}>
      <Filters place={place} filters={filters} />
      <Listing label={t.audit} list={list} columns={columns} name={(r) => r.id} empty={t.noAudit} />
    </section>
  );
}

export default function Gateway({ place, session }: PageProps) {
  const admin = may(session, "admin");
  const wanted = place.query.get("tab") ?? "";
  const needs: Record<string, Level> = {
    administrators: "admin",
    tokens: "admin",
    changes: "operator",
    audit: "operator",
    backup: "operator",
    log: "operator",
  };
  const level = needs[wanted];
  const tabs = [
    { id: "settings", title: t.settings },
    ...(admin
      ? [
          { id: "administrators", title: t.administrators },
          { id: "tokens", title: t.tokens },
        ]
      : []),
    { id: "listeners", title: text.listeners.title },
    { id: "limits", title: text.limits.title },
    { id: "system", title: text.system.title },
    ...(may(session, "operator")
      ? [
          { id: "changes", title: text.changes.title },
          { id: "audit", title: t.audit },
          { id: "log", title: text.log.title },
          { id: "backup", title: text.changes.backupTab },
        ]
      : []),
  ];
  const tab = tabOf(place, tabs);
  return (
    <>
      <h1>{t.title}</h1>
      <Tabs place={place} tabs={tabs} label={t.title} />
      {level && !may(session, level) ? (
        <Forbidden level={level} />
      ) : (
        tab === "settings" && <Settings session={session} search={place.query.get("q") ?? ""} />
      )}
      {tab === "administrators" && <Administrators session={session} />}
      {tab === "tokens" && <Tokens />}
      {tab === "listeners" && <Listeners session={session} />}
      {tab === "changes" && <Changes place={place} />}
      {tab === "audit" && <Audit place={place} />}
      {tab === "limits" && <Limits session={session} />}
      {tab === "system" && <System />}
      {tab === "log" && <Log place={place} />}
      {tab === "backup" && <Backup session={session} />}
    </>
  );
}
