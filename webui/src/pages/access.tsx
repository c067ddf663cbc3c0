// SPDX-License-Identifier: Apache-2.0
// Who may do what: rules, roles, and why something is allowed or not.
import { useEffect, useState } from "preact/hooks";
import type { PageProps } from "../app";
import { del, get, post, segment, type Page } from "../api";
import { count } from "../format";
import { type Place } from "../router";
import { may } from "../session";
import { changeOf, linesOf, wrongIn } from "../draft";
import { text } from "../text";
import type { Answers, Learning, Role } from "../types";
import {
  Alert,
  Badge,
  type Column,
  Dialog,
  Field,
  Form,
  Input,
  Link,
  Time,
  Trouble,
  useAction,
  useLoad,
  wrong,
} from "../ui/kit";
import { Learn } from "../ui/learn";
import { Listing, tabOf, Tabs, usePages } from "../ui/pages";
import { toast } from "../ui/toast";
import { undoLast } from "../ui/undo";
import { type Draft, Rules, tone, useDraft, Waiting } from "./access-rules";

const t = text.access;

type Verdict = Answers["acl.check"];

const actions = ["publish", "subscribe", "receive"];

function Select(props: { label: string; value: string; set: (v: string) => void; options: string[] }) {
  return (
    <Field label={props.label}>
      {(a) => (
        <select {...a} value={props.value} onChange={(e) => props.set(e.currentTarget.value)}>
          {props.options.map((o) => (
            <option key={o}>{o}</option>
          ))}
        </select>
      )}
    </Field>
  );
}

function AddRole({ close, done }: { close: () => void; done: () => void }) {
  const [name, setName] = useState("");
  const [note, setNote] = useState("");
  const act = useAction();
  const add = async () => {
    await post("/roles", { name, note });
    done();
    close();
  };
  return (
    <Dialog title={t.addRole} close={close}>
      <Form action={act} run={add} fields={["name", "note"]} word={t.addRole}>
        <Input
          label={t.roleName}
          value={name}
          set={setName}
          error={wrong(act.error, "name")}
          required
          autofocus
        />
        <Input label={t.note} value={note} set={setNote} error={wrong(act.error, "note")} />
      </Form>
    </Dialog>
  );
}

function Roles({ operator }: { operator: boolean }) {
  const list = usePages<Role>("/roles", {});
  const [adding, setAdding] = useState(false);
  const action = useAction();
  const remove = (r: Role) =>
    action.run(async () => {
      await del(`/roles/${segment(r.name)}`);
      toast(t.roleRemoved(r.name), undoLast("role", r.name, list.reload));
      list.reload();
    });
  const columns: Column<Role>[] = [
    { title: t.roleName, cell: (r) => r.name },
    { title: t.note, cell: (r) => r.note },
    { title: t.holders, number: true, cell: (r) => r.device_count },
    { title: t.rules, number: true, cell: (r) => r.rule_count },
    {
      title: t.change,
      cell: (r) =>
        operator ? (
          <button class="danger" disabled={action.busy} onClick={() => remove(r)}>
            {text.remove}
          </button>
        ) : null,
    },
  ];
  return (
    <section class="stack" aria-label={t.roles}>
      <div class="row apart">
        <p class="muted">{t.rolesHint}</p>
        {operator && (
          <button class="primary" onClick={() => setAdding(true)}>
            {t.addRole}
          </button>
        )}
      </div>
      <Trouble error={action.error} />
      <Listing label={t.roles} list={list} columns={columns} name={(r) => r.name} empty={t.noRoles} />
      {adding && <AddRole close={() => setAdding(false)} done={list.reload} />}
    </section>
  );
}

function Answer({ verdict, lines }: { verdict: Verdict; lines: string[] }) {
  const unsaved = verdict.rule !== null && verdict.rule < 0 ? (lines[-verdict.rule - 1] ?? "") : "";
  return (
    <div class="stack" aria-live="polite">
      <Alert tone={tone(verdict.verdict)}>
        <strong>{t.verdict[verdict.verdict]}</strong>{" "}
        {verdict.rule === null ? t.noRule : unsaved ? t.byUnsaved(unsaved) : t.byRule(verdict.rule)}
      </Alert>
      {verdict.barred && <Alert tone="warn">{text.devices.barred(verdict.barred)}</Alert>}
      <ul class="events">
        {verdict.reasons.map((r) => (
          <li key={r.rule}>
            <Badge tone={r.part === "decides" ? "accent" : ""}>{r.part}</Badge>
            <span>
              <code>{r.text}</code>
              <br />
              <span class="small muted">{r.because}</span>
            </span>
          </li>
        ))}
      </ul>
    </div>
  );
}

function Why({ place, draft }: { place: Place; draft: Draft }) {
  const complete = draft.filter(
    (r) => changeOf(r) === "removed" || Object.keys(wrongIn(r.cells)).length === 0,
  );
  const { lines } = linesOf(complete);
  const q = place.query;
  const [device, setDevice] = useState(q.get("device") ?? "");
  const [action, setAction] = useState(actions.find((a) => a === q.get("action")) ?? "publish");
  const [topic, setTopic] = useState(q.get("topic") ?? "");
  const [verdict, setVerdict] = useState<Verdict>();
  const names = useLoad(
    (signal) => get<Page<{ name: string }>>("/devices", { match: device, limit: 20 }, signal),
    [device],
  );
  const act = useAction();
  const ask = async () => {
    setVerdict(undefined);
    setVerdict(
      await post<Verdict>("/acl/check", {
        device,
        action,
        topic,
        ...(lines.length > 0 ? { with: lines } : {}),
      }),
    );
  };
  useEffect(() => {
    if (device !== "" && topic !== "") act.run(ask); // a denial led here
  }, []);
  const e = act.error;
  return (
    <section class="card stack" aria-label={t.why}>
      <p class="muted">{t.whyHint}</p>
      {lines.length > 0 && <Waiting draft={complete} />}
      <Form action={act} run={ask} fields={["device", "topic"]} word={t.ask}>
        <Field label={t.device} error={wrong(e, "device")}>
          {(a) => (
            <>
              <input
                {...a}
                list="device-names"
                required
                value={device}
                onInput={(x) => setDevice(x.currentTarget.value)}
              />
              <datalist id="device-names">
                {(names.data?.items ?? []).map((d) => (
                  <option key={d.name} value={d.name} />
                ))}
              </datalist>
            </>
          )}
        </Field>
        <Select label={t.action} value={action} set={setAction} options={actions} />
        <Input label={t.topic} value={topic} set={setTopic} error={wrong(e, "topic")} required />
      </Form>
      {verdict && <Answer verdict={verdict} lines={lines} />}
    </section>
  );
}

function LearnModes({ operator }: { operator: boolean }) {
  const list = usePages<Learning>("/learn", {});
  const roles = useLoad((signal) => get<Page<Role>>("/roles", {}, signal), []);
  const [role, setRole] = useState("");
  const columns: Column<Learning>[] = [
    {
      title: text.learn.who,
      cell: (l) => {
        const [kind, name] = [l.subject.split(":", 1)[0], l.subject.replace(/^[a-z]+:/, "")];
        if (kind === "device") return <Link href={`/devices/${segment(name)}`}>{name}</Link>;
        return (
          <span class="row">
            {l.subject} <button onClick={() => setRole(name)}>{text.learn.show}</button>
          </span>
        );
      },
    },
    { title: text.learn.until, cell: (l) => <Time at={l.until} exact /> },
    { title: text.learn.topics, number: true, cell: (l) => count(l.topics) },
  ];
  return (
    <section class="stack" aria-label={text.learn.list}>
      <Listing
        label={text.learn.list}
        list={list}
        columns={columns}
        name={(l) => l.subject}
        empty={text.learn.none}
        hint={text.learn.noneHint}
      />
      <Select
        label={text.learn.role}
        value={role}
        set={setRole}
        options={["", ...(roles.data?.items ?? []).map((r) => r.name)]}
      />
      {role && <Learn key={role} who={{ role }} operator={operator} changed={list.reload} />}
    </section>
  );
}

const tabs = [
  { id: "rules", title: t.rules },
  { id: "roles", title: t.roles },
  { id: "why", title: t.why },
  { id: "learn", title: text.learn.list },
];

export default function Access({ place, session }: PageProps) {
  const operator = may(session, "operator");
  const tab = tabOf(place, tabs);
  const [draft, setDraft] = useDraft();
  return (
    <>
      <h1>{t.title}</h1>
      <Tabs place={place} tabs={tabs} label={t.title} />
      {tab === "rules" && <Rules place={place} operator={operator} draft={draft} setDraft={setDraft} />}
      {tab === "roles" && <Roles operator={operator} />}
      {tab === "why" && <Why place={place} draft={draft} />}
      {tab === "learn" && <LearnModes operator={operator} />}
    </>
  );
}
