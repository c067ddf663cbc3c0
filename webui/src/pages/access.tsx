// SPDX-License-Identifier: Apache-2.0
// Who may do what: rules, roles, and why something is allowed or not.
import { useState } from "preact/hooks";
import type { PageProps } from "../app";
import { del, get, post, segment, type Page } from "../api";
import { count } from "../format";
import { may } from "../session";
import { text } from "../text";
import type { Answers, Learning, Role, Row, Rule } from "../types";
import {
  Alert,
  Badge,
  type Column,
  Dialog,
  Field,
  Form,
  Input,
  Link,
  Table,
  Time,
  Trouble,
  useAction,
  useLoad,
  words,
  wrong,
} from "../ui/kit";
import { Learn } from "../ui/learn";
import { Confirm, Listing, tabOf, Tabs, usePages } from "../ui/pages";
import { toast } from "../ui/toast";

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

function AddRule({ close, done }: { close: () => void; done: () => void }) {
  const [effect, setEffect] = useState("allow");
  const [subject, setSubject] = useState("");
  const [action, setAction] = useState("publish");
  const [filter, setFilter] = useState("");
  const [priority, setPriority] = useState("0");
  const [qos, setQos] = useState("");
  const [networks, setNetworks] = useState("");
  const act = useAction();
  const e = act.error;
  const add = async () => {
    const list = words(networks);
    await post("/acl", {
      effect,
      subject,
      action,
      filter,
      priority: 1000 + Number(priority),
      ...(qos ? { qos } : {}),
      ...(list.length > 0 ? { networks: list } : {}),
    });
    toast(t.added);
    done();
    close();
  };
  const fields = ["subject", "filter", "priority", "qos", "networks"];
  return (
    <Dialog title={t.add} close={close}>
      <Form action={act} run={add} fields={fields} word={t.add}>
        <Select label={t.effect} value={effect} set={setEffect} options={["allow", "deny"]} />
        <Input
          label={t.subject}
          hint={t.subjectHint}
          value={subject}
          set={setSubject}
          error={wrong(e, "subject")}
          required
          autofocus
        />
        <Select label={t.action} value={action} set={setAction} options={[...actions, "all"]} />
        <Input
          label={t.filter}
          hint={t.filterHint}
          value={filter}
          set={setFilter}
          error={wrong(e, "filter")}
          required
        />
        <Input
          label={t.priority}
          hint={t.priorityHint}
          type="number"
          value={priority}
          set={setPriority}
          error={wrong(e, "priority")}
        />
        <Input label={t.qos} hint={t.qosHint} value={qos} set={setQos} error={wrong(e, "qos")} />
        <Input
          label={t.networks}
          hint={t.networksHint}
          value={networks}
          set={setNetworks}
          error={wrong(e, "networks")}
        />
      </Form>
    </Dialog>
  );
}

/** Can it be made again from what the list tells? */
function isSimple(r: Rule): boolean {
  return (
    r.learn_until === null &&
    r.conditions === "" &&
    !r.literal &&
    (r.actions.length === 1 || r.actions.length === actions.length)
  );
}

/** The arguments that make a rule again as it was. */
function again(r: Rule) {
  return {
    effect: r.effect,
    subject: r.subject,
    action: r.actions.length === actions.length ? "all" : (r.actions[0] ?? "publish"),
    filter: r.filter,
    priority: 1000 + r.priority,
  };
}

function Rules({ operator }: { operator: boolean }) {
  const list = usePages<Rule>("/acl", {});
  const [adding, setAdding] = useState(false);
  const action = useAction();
  const [removing, setRemoving] = useState<Rule>();
  const drop = async (r: Rule) => {
    await del(`/acl/${r.id}`);
    list.reload();
    toast(t.removed, isSimple(r) ? () => void post("/acl", again(r)).then(list.reload) : undefined);
  };
  const remove = (r: Rule) => {
    if (isSimple(r)) action.run(() => drop(r));
    else setRemoving(r);
  };
  const columns: Column<Rule>[] = [
    { title: t.effect, cell: (r) => <Badge tone={r.effect === "allow" ? "good" : "bad"}>{r.effect}</Badge> },
    { title: t.subject, cell: (r) => r.subject },
    { title: t.action, cell: (r) => r.actions.join(", ") },
    { title: t.filter, cell: (r) => <code>{r.filter}</code> },
    { title: t.priority, number: true, cell: (r) => r.priority },
    {
      title: t.conditions,
      cell: (r) =>
        r.learn_until ? (
          <Badge tone="warn">
            {t.learnUntil} <Time at={r.learn_until} exact />
          </Badge>
        ) : (
          r.conditions
        ),
    },
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
    <section class="stack" aria-label={t.rules}>
      <div class="row apart">
        <p class="muted">{t.order}</p>
        {operator && (
          <button class="primary" onClick={() => setAdding(true)}>
            {t.add}
          </button>
        )}
      </div>
      <Trouble error={action.error} />
      <Listing
        label={t.rules}
        list={list}
        columns={columns}
        name={(r) => r.id}
        empty={t.noRules}
        hint={t.noRulesHint}
      />
      {removing && (
        <Confirm
          title={t.removeRule(removing.id)}
          hint={t.removeRuleHint}
          word={text.remove}
          close={() => setRemoving(undefined)}
          run={() => drop(removing)}
        />
      )}
      {adding && <AddRule close={() => setAdding(false)} done={list.reload} />}
    </section>
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
      toast(t.roleRemoved(r.name));
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

const tone = (v: Verdict["verdict"]) => (v === "allowed" ? "good" : v === "denied" ? "bad" : "warn");

function Answer({ verdict }: { verdict: Verdict }) {
  return (
    <div class="stack" aria-live="polite">
      <Alert tone={tone(verdict.verdict)}>
        <strong>{t.verdict[verdict.verdict]}</strong>{" "}
        {verdict.rule === null ? t.noRule : t.byRule(verdict.rule)}
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

/** Lines as the API takes them: those that say nothing stay, so that an error names the right one. */
function linesOf(draft: string): string[] {
  return draft.split("\n").map((l) => l.trim() || "#");
}

type Preview = Answers["acl.preview"];
type Flip = Row<"acl.preview">;

const flipColumns: Column<Flip>[] = [
  { title: t.device, cell: (f) => f.device },
  { title: t.action, cell: (f) => f.action },
  { title: t.filter, cell: (f) => <code>{f.topic}</code> },
  { title: t.before, cell: (f) => <Badge tone={tone(f.before)}>{f.before}</Badge> },
  { title: t.after, cell: (f) => <Badge tone={tone(f.after)}>{f.after}</Badge> },
  { title: t.times, number: true, cell: (f) => count(f.times) },
];

function Flips({ preview }: { preview: Preview }) {
  return (
    <div class="stack" aria-live="polite">
      <p>{t.checked(count(preview.checked), count(preview.items.length))}</p>
      {preview.items.length > 0 && (
        <Table
          label={t.preview}
          columns={flipColumns}
          rows={preview.items}
          name={(f) => `${f.device} ${f.action} ${f.topic}`}
        />
      )}
      {preview.left_out > 0 && <p class="small muted">{t.notJudged(count(preview.left_out))}</p>}
    </div>
  );
}

/** Rules that nobody has saved: what they would change, and saving them. */
function Draft(props: { draft: string; set: (draft: string) => void; operator: boolean }) {
  const [preview, setPreview] = useState<Preview>();
  const action = useAction();
  const body = () => ({ with: linesOf(props.draft) });
  const look = () =>
    action.run(async () => {
      setPreview(undefined);
      setPreview(await post<Preview>("/acl/preview", body()));
    });
  const save = () =>
    action.run(async () => {
      const done = await post<Answers["acl.apply"]>("/acl/apply", body());
      toast(t.saved(done.added.length, done.removed));
      props.set("");
      setPreview(undefined);
    });
  const empty = props.draft.trim() === "";
  const error = wrong(action.error, "with");
  return (
    <section class="card stack" aria-label={t.draft}>
      <Field label={t.draft} hint={t.draftHint} {...(error ? { error } : {})}>
        {(a) => (
          <textarea
            {...a}
            class="mono"
            rows={5}
            spellcheck={false}
            placeholder={t.draftExample}
            value={props.draft}
            onInput={(e) => props.set(e.currentTarget.value)}
          />
        )}
      </Field>
      {!error && <Trouble error={action.error} />}
      <p class="small muted">{t.previewHint}</p>
      <div class="row">
        <button disabled={empty || action.busy} onClick={look}>
          {t.preview}
        </button>
        {props.operator && (
          <button disabled={empty || action.busy} onClick={save}>
            {t.save}
          </button>
        )}
      </div>
      {preview && <Flips preview={preview} />}
    </section>
  );
}

function Why({ draft }: { draft: string }) {
  const [device, setDevice] = useState("");
  const [action, setAction] = useState("publish");
  const [topic, setTopic] = useState("");
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
        ...(draft.trim() ? { with: linesOf(draft) } : {}),
      }),
    );
  };
  const e = act.error;
  return (
    <section class="card stack" aria-label={t.why}>
      <p class="muted">{t.whyHint}</p>
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
      {verdict && <Answer verdict={verdict} />}
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
  const [draft, setDraft] = useState("");
  return (
    <>
      <h1>{t.title}</h1>
      <Tabs place={place} tabs={tabs} label={t.title} />
      {tab === "rules" && <Rules operator={operator} />}
      {tab === "roles" && <Roles operator={operator} />}
      {tab === "why" && <Why draft={draft} />}
      {tab === "why" && <Draft draft={draft} set={setDraft} operator={operator} />}
      {tab === "learn" && <LearnModes operator={operator} />}
    </>
  );
}
