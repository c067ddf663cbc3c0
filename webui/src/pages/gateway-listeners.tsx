// SPDX-License-Identifier: Apache-2.0
// Where the gateway listens, what is asked for there, how full it is; and the listeners of MQTT added, changed and
// removed. A change goes as a document, so that all of it is judged and done at once, and goes back by itself unless
// somebody says that all is well.
import { useState } from "preact/hooks";
import { get, put, type Document, type Page } from "../api";
import { count } from "../format";
import { may, type Session } from "../session";
import { text } from "../text";
import type { Answers, Certificate, ListenerState, Setting, Status } from "../types";
import {
  Badge,
  type Column,
  Dialog,
  Field,
  Form,
  Input,
  Spinner,
  Table,
  Time,
  Trouble,
  useAction,
  useLoad,
} from "../ui/kit";
import { settingsChanged, useSettings, WAIT } from "../ui/held";
import { Confirm } from "../ui/pages";
import { toast } from "../ui/toast";

const t = text.listeners;

type Name = keyof typeof t.fields;
export type Values = Record<Name, string>;
const choices: Partial<Record<Name, string[]>> = {
  protocol: ["mqtt", "websocket", "auto"],
  tls: ["on", "off"],
  auth: ["any", "certificate", "password", "certificate+password", "anonymous"],
  "tls-versions": ["1.2+1.3", "1.2", "1.3"],
};
const names = Object.keys(t.fields) as Name[];

export interface Listener {
  name: string;
  /** Its settings by the last word of their keys; none for those that are not of MQTT. */
  set: Record<string, Setting>;
  states: ListenerState[];
  /** Of admin and enrol: who may connect. */
  face: Record<string, string>;
}

interface Loaded {
  listeners: Listener[];
  certificates: Certificate[];
  files: Status["server_files"];
}

/** Settings by listener, together with the addresses that listen. */
export function group(states: readonly ListenerState[], settings: readonly Setting[]): Listener[] {
  const all = new Map<string, Listener>();
  const of = (name: string) => {
    const l = all.get(name) ?? { name, set: {}, states: [], face: {} };
    all.set(name, l);
    return l;
  };
  for (const s of states) of(s.name).states.push(s);
  for (const s of settings) {
    const [section, name, key] = s.key.split(".");
    if (section === "listener" && name && key) of(name).set[key] = s;
    else if (section && name && all.get(section)?.states[0]?.protocol === "https")
      of(section).face[name] = s.value;
  }
  return [...all.values()];
}

/** What changes, as the document has it: null goes back to its default. */
export function changes(before: Values, values: Values): Record<string, string | null> {
  const all = names.filter((n) => values[n].trim() !== before[n]);
  return Object.fromEntries(all.map((n) => [n, values[n].trim() || null]));
}

/** The document with which a listener goes: nothing of it is set any more. */
export function without({ name, set }: Listener): Document {
  const own = Object.keys(set).filter((key) => set[key]?.source === "settings");
  return { version: 1, listeners: { [name]: Object.fromEntries(own.map((key) => [key, null])) } };
}

async function load(signal: AbortSignal): Promise<Loaded> {
  const [status, config, ca] = await Promise.all([
    get<Status>("/status", {}, signal),
    get<Page<Setting>>("/config", {}, signal),
    get<Answers["ca.show"]>("/ca", {}, signal),
  ]);
  return {
    listeners: group(status.listeners, config.items),
    certificates: ca.server_certificates,
    files: status.server_files,
  };
}

const value = (l: Listener, key: string) => l.set[key]?.value ?? l.face[key] ?? "";
const isMqtt = (l: Listener) => l.set.bind !== undefined;
const isFace = (l: Listener) => l.states[0]?.protocol === "https";
const fromFile = (s: Setting | undefined) => s?.source === "file" || s?.source === "command-line";

async function apply(state: Document) {
  await put<Answers["state.apply"]>("/state", { state, "confirm-within": WAIT });
  settingsChanged();
}

function Encryption({ l }: { l: Listener }) {
  const protocol = l.states[0]?.protocol;
  if (protocol === "control") return <span class="muted">{t.local}</span>;
  if (!isMqtt(l)) return <Badge tone="good">TLS</Badge>;
  if (value(l, "tls") !== "on") return <Badge tone="bad">{t.plain}</Badge>;
  return <Badge tone="good">{`TLS ${value(l, "tls-versions").replace("+", ", ")}`}</Badge>;
}

/** The keys with which it proves who it is. */
function Proof({ l, certificates, files }: { l: Listener } & Omit<Loaded, "listeners">) {
  const tls = isMqtt(l) ? value(l, "tls") === "on" : l.name === "admin" || l.name === "enrol";
  if (!tls) return null;
  if (value(l, "certificate")) {
    const file = files.find((f) => f.name === (isMqtt(l) ? `listener ${l.name}` : l.name));
    return (
      <div class="small muted">
        {t.fileCertificate}
        {file && (
          <>
            {" "}
            {t.ends} <Time at={file.not_after} />
          </>
        )}
      </div>
    );
  }
  const start = `${isMqtt(l) ? "broker" : l.name}-`;
  const own = certificates.filter((c) => c.name.startsWith(start));
  return (
    <>
      {own.map((c) => (
        <div key={c.fingerprint} class="small muted nowrap">
          {c.name.slice(start.length).replace("p256", "P-256").replace("rsa", "RSA")} {t.ends}{" "}
          <Time at={c.not_after} />
        </div>
      ))}
    </>
  );
}

function Connections({ l }: { l: Listener }) {
  const now = l.states[0]?.connections ?? 0;
  const most = value(l, "max-connections");
  return <>{most ? t.atMost(count(now), count(Number(most))) : count(now)}</>;
}

function Control(props: {
  name: Name;
  values: Values;
  set: (v: Values) => void;
  fixed: string;
  error: string;
}) {
  const { name, values, fixed } = props;
  const [label, hint] = t.fields[name] as [string, string];
  const change = (v: string) => props.set({ ...values, [name]: v });
  const options = choices[name];
  const note = fixed ? t.inFile(fixed) : hint;
  return (
    <Field label={label} {...(note ? { hint: note } : {})} error={props.error}>
      {(a) =>
        options ? (
          <select
            {...a}
            value={values[name]}
            disabled={fixed !== ""}
            onChange={(e) => change(e.currentTarget.value)}
          >
            {options.map((o) => (
              <option key={o}>{o}</option>
            ))}
          </select>
        ) : (
          <input
            {...a}
            value={values[name]}
            disabled={fixed !== ""}
            required={name === "bind"}
            onInput={(e) => change(e.currentTarget.value)}
          />
        )
      }
    </Field>
  );
}

/** Of a new one what a careful person would begin with. */
const fresh: Values = {
  bind: "",
  protocol: "mqtt",
  tls: "on",
  auth: "any",
  "tls-versions": "1.2+1.3",
  "allow-from": "",
  "max-connections": "",
  "max-connections-per-address": "",
  "max-packet": "",
};

function Edit(props: { listener?: Listener; all: Listener[]; close: () => void; done: () => void }) {
  const { listener, close, done } = props;
  const before = listener ? (Object.fromEntries(names.map((n) => [n, value(listener, n)])) as Values) : fresh;
  const [name, setName] = useState("");
  const [values, set] = useState(before);
  const [removing, remove] = useState(false);
  const action = useAction();
  const said = action.error instanceof Error ? action.error.message : "";
  const wrongIn = (n: string) =>
    said.includes(`.${n}: `) ? said.slice(said.lastIndexOf(`.${n}: `) + n.length + 3) : "";
  const save = async () => {
    const id = listener?.name ?? name;
    if (!listener && props.all.some((l) => l.name === id)) throw new Error(t.taken(id));
    if (!/^[A-Za-z0-9_-]{1,64}$/.test(id)) throw new Error(t.noName);
    const what = changes(before, values);
    if (Object.keys(what).length === 0) throw new Error(t.nothing);
    await apply({ version: 1, listeners: { [id]: what } });
    toast(listener ? t.changed(id) : t.added(id));
    done();
    close();
  };
  const onlyOurs = listener && Object.values(listener.set).every((s) => !fromFile(s));
  if (listener && removing)
    return (
      <Confirm
        title={`${t.remove}: ${listener.name}`}
        hint={text.held.hint}
        word={text.remove}
        close={close}
        run={async () => {
          await apply(without(listener));
          toast(t.removed(listener.name));
          done();
        }}
      />
    );
  return (
    <Dialog title={listener ? t.changeOf(listener.name) : t.add} close={close}>
      <Form
        action={action}
        run={save}
        word={t.save}
        more={
          onlyOurs && (
            <button type="button" class="danger" onClick={() => remove(true)}>
              {t.remove}
            </button>
          )
        }
      >
        {!listener && (
          <Input
            label={t.name}
            hint={t.nameHint}
            value={name}
            set={setName}
            required
            autofocus
            maxLength={64}
          />
        )}
        {names.map((n) => (
          <Control
            key={n}
            name={n}
            values={values}
            set={set}
            fixed={fromFile(listener?.set[n]) ? (listener?.set[n]?.origin ?? "") : ""}
            error={wrongIn(n)}
          />
        ))}
      </Form>
    </Dialog>
  );
}

export function Listeners({ session }: { session: Session }) {
  const list = useLoad(load, []);
  const [editing, edit] = useState<Listener | "new">();
  useSettings(list.reload);
  const admin = may(session, "admin");
  const columns: Column<Listener>[] = [
    {
      title: t.name,
      cell: (l) => (
        <>
          <strong>{l.name}</strong>
          <div class="small muted">{value(l, "protocol") || l.states[0]?.protocol}</div>
        </>
      ),
    },
    {
      title: t.address,
      cell: (l) =>
        l.states.map((s) => (
          <div key={s.address}>
            <code>{s.address}</code>
          </div>
        )),
    },
    {
      title: t.encryption,
      cell: (l) => (
        <>
          <Encryption l={l} />
          <Proof l={l} certificates={list.data?.certificates ?? []} files={list.data?.files ?? []} />
        </>
      ),
    },
    { title: t.auth, cell: (l) => value(l, "auth") || "–" },
    {
      title: t.from,
      cell: (l) => (
        <>
          {value(l, "allow-from") || (isMqtt(l) || isFace(l) ? t.everywhere : "–")}
          {value(l, "proxy-from") && (
            <div class="small muted">{`${t.proxied}: ${value(l, "proxy-from")}`}</div>
          )}
        </>
      ),
    },
    { title: t.connections, number: true, cell: (l) => <Connections l={l} /> },
    ...(admin
      ? [
          {
            title: t.change,
            cell: (l: Listener) =>
              isMqtt(l) ? (
                <button aria-label={t.changeOf(l.name)} onClick={() => edit(l)}>
                  {t.change}
                </button>
              ) : (
                isFace(l) && (
                  <a href={`/gateway?q=${l.name}.`} aria-label={t.settingsOf(l.name)}>
                    {t.settings}
                  </a>
                )
              ),
          },
        ]
      : []),
  ];
  return (
    <section class="stack" aria-label={t.title}>
      <div class="row apart">
        <p class="muted">{t.hint}</p>
        {admin && (
          <button class="primary" onClick={() => edit("new")}>
            {t.add}
          </button>
        )}
      </div>
      <Trouble error={list.error} retry={list.reload} />
      {list.loading && !list.data && <Spinner />}
      {list.data && (
        <Table label={t.title} columns={columns} rows={list.data.listeners} name={(l) => l.name} />
      )}
      {editing && list.data && (
        <Edit
          {...(editing === "new" ? {} : { listener: editing })}
          all={list.data.listeners}
          close={() => edit(undefined)}
          done={list.reload}
        />
      )}
    </section>
  );
}
