// SPDX-License-Identifier: Apache-2.0
// Adding a device in three steps: what it may do, how it proves itself, what it needs for that. It ends with the
// device seen, or with why not.
import type { ComponentChildren } from "preact";
import { useEffect, useState } from "preact/hooks";
import type { PageProps } from "../app";
import { get, post, postForFile, Problem, segment, type GivenFile, type Page } from "../api";
import { makeRequest } from "../csr";
import {
  enrolCommands,
  placeOf,
  qrText,
  renewCommands,
  snippets,
  templates,
  type Place,
  type Snippet,
  type Template,
} from "../kit";
import { useEvents } from "../live";
import { randomWord } from "../random";
import { may } from "../session";
import { show, useLastOf } from "../watch";
import { text } from "../text";
import type { Answers, Authorities, Device, GatewayEvent, Role, Status, Takes } from "../types";
import { Alert, Badge, Copy, Input, Link, Trouble, useAction, useLoad, words, wrong } from "../ui/kit";
import { allow, AllowDialog, below, deniedOf, type Denied, whyHref } from "../ui/denial";
import { download } from "../ui/pages";
import { Qr } from "../ui/qr";
import { bundleArguments, BundleKit, BundleOptions, newBundle, type BundleWish } from "./add-device-bundle";

const t = text.add;

type Proof = "code" | "browser" | "gateway" | "password" | "plain";

interface Made {
  name: string;
  proof: Proof;
  place: Place;
  code?: string;
  root?: string;
  files?: { name: string; content: string }[];
  password?: string;
  bundle?: GivenFile;
  passphrase?: string;
  legacy?: boolean;
}

/** The role of a template, made with its rules when it is not there yet. */
async function ensureTemplate(template: Template): Promise<void> {
  const roles = await get<Page<Role>>("/roles");
  if (roles.items.some((r) => r.name === template.role)) return;
  await post("/roles", { name: template.role, note: template.title } satisfies Takes["role.add"]);
  for (const [action, filter] of template.rules)
    await post("/acl", {
      effect: "allow",
      subject: `role:${template.role}`,
      action,
      filter,
    } satisfies Takes["acl.add"]);
}

interface Wish {
  name: string;
  kind: string;
  groups: string[];
  roles: string[];
  learns: boolean;
}

const LEARN_DAYS = 7;
const learn = (device: string) => post("/learn", { device, days: LEARN_DAYS } satisfies Takes["learn.start"]);

/** A code, for a device that is there at once if it is to learn. */
async function makeCode(wish: Wish): Promise<Answers["code.add"]> {
  const { name, kind, groups, roles } = wish;
  if (!wish.learns) return post("/codes", { name, kind, groups, roles });
  await post("/devices", { name, kind, groups, roles });
  await learn(name);
  return post("/codes", { name });
}

async function make(wish: Wish, proof: Proof, bundle: BundleWish): Promise<Made> {
  const known = await get<Page<Device>>("/devices", { match: wish.name, limit: 1000 });
  if (known.items.some((d) => d.name === wish.name)) throw new Problem(409, t.exists(wish.name), "name");
  const status = await get<Status>("/status");
  const place = placeOf(status.listeners, location.hostname);
  const args = { name: wish.name, kind: wish.kind, groups: wish.groups, roles: wish.roles };
  if (proof === "password" || proof === "plain") {
    const password = randomWord();
    await post("/devices", { ...args, password });
    if (wish.learns) await learn(wish.name);
    return { name: wish.name, proof, place, password };
  }
  if (proof === "code") {
    const made = await makeCode(wish);
    return { name: wish.name, proof, place, code: made.code, root: made.root_fingerprint };
  }
  if (proof === "gateway") {
    const file = await postForFile("/bundles", { ...args, host: place.host, ...bundleArguments(bundle) });
    if (wish.learns) await learn(wish.name);
    const passphrase =
      bundle.form === "zip" ? {} : { passphrase: bundle.passphrase, legacy: bundle.form === "p12-legacy" };
    return { name: wish.name, proof, place, bundle: file, ...passphrase };
  }
  const own = await makeRequest(wish.name);
  const made = await post<Answers["device.add"]>("/devices", {
    ...args,
    csr: own.request,
  } satisfies Takes["device.add"]);
  if (wish.learns) await learn(wish.name);
  return {
    name: wish.name,
    proof,
    place,
    files: [
      { name: "device.key", content: own.key },
      { name: "device.crt", content: made.certificate?.pem ?? "" },
      { name: "ca.crt", content: made.certificate?.roots_pem ?? "" },
    ],
  };
}

function Choice(props: {
  group: string;
  value: string;
  chosen: string;
  set: (v: string) => void;
  title: string;
  children?: ComponentChildren;
}) {
  return (
    <label class="choice">
      <input
        type="radio"
        name={props.group}
        checked={props.chosen === props.value}
        onChange={() => props.set(props.value)}
      />
      <span>
        <strong>{props.title}</strong>
        <span class="small muted">{props.children}</span>
      </span>
    </label>
  );
}

const KIT = "kit:";
const LEARN = "learn:"; // no name of a role

function RoleChoice({ name, chosen, set }: { name: string; chosen: string; set: (v: string) => void }) {
  const roles = useLoad((signal) => get<Page<Role>>("/roles", {}, signal), []);
  const own = (roles.data?.items ?? []).filter((r) => !templates.some((x) => x.role === r.name));
  return (
    <fieldset class="choices">
      <legend>{t.may}</legend>
      <p class="small muted whole">{t.mayHint}</p>
      {templates.map((x) => (
        <Choice key={x.role} group="role" value={KIT + x.role} chosen={chosen} set={set} title={x.title}>
          <span class="rule">{t.templates[x.role]}</span>
          {x.rules.map(([action, filter]) => (
            <span key={action + filter} class="rule">
              {t.does(action)} <code>{filter.replace("${device}", name || t.yourName)}</code>
            </span>
          ))}
        </Choice>
      ))}
      {own.map((r) => (
        <Choice key={r.name} group="role" value={r.name} chosen={chosen} set={set} title={t.role(r.name)}>
          {r.note || t.rules(r.rule_count)}
        </Choice>
      ))}
      <Choice group="role" value={LEARN} chosen={chosen} set={set} title={t.learn}>
        {t.learnHint(LEARN_DAYS)}
      </Choice>
      <Choice group="role" value="" chosen={chosen} set={set} title={t.noRole}>
        {t.noRoleHint}
      </Choice>
      <Trouble error={roles.error} retry={roles.reload} />
    </fieldset>
  );
}

function ProofChoice({ chosen, set }: { chosen: Proof; set: (v: Proof) => void }) {
  const status = useLoad((signal) => get<Status>("/status", {}, signal), []);
  const plain = placeOf(status.data?.listeners ?? [], location.hostname).mqtt;
  const pick = (v: string) => set(v as Proof);
  return (
    <fieldset class="choices two">
      <legend>{t.proof}</legend>
      <Choice group="proof" value="code" chosen={chosen} set={pick} title={t.code}>
        {t.codeHint}
      </Choice>
      <Choice group="proof" value="browser" chosen={chosen} set={pick} title={t.browser}>
        {t.browserHint}
      </Choice>
      <Choice group="proof" value="gateway" chosen={chosen} set={pick} title={t.gateway}>
        {t.gatewayHint}
      </Choice>
      <Choice group="proof" value="password" chosen={chosen} set={pick} title={t.password}>
        {t.passwordHint}
      </Choice>
      {plain && (
        <Choice group="proof" value="plain" chosen={chosen} set={pick} title={t.plain}>
          {t.plainHint}
        </Choice>
      )}
    </fieldset>
  );
}

function Form({ done }: { done: (m: Made) => void }) {
  const [name, setName] = useState("");
  const [kind, setKind] = useState("");
  const [groups, setGroups] = useState("");
  const [role, setRole] = useState(KIT + (templates[0]?.role ?? ""));
  const [proof, setProof] = useState<Proof>("code");
  const [bundle, setBundle] = useState(newBundle);
  const action = useAction();
  const submit = (e: Event) => {
    e.preventDefault();
    action.run(async () => {
      const template = templates.find((x) => KIT + x.role === role);
      if (template) await ensureTemplate(template);
      const learns = role === LEARN;
      const roles = template ? [template.role] : role && !learns ? [role] : [];
      done(await make({ name, kind: kind || "device", groups: words(groups), roles, learns }, proof, bundle));
    });
  };
  const known = ["name", "kind", "groups", "passphrase"].some((f) => wrong(action.error, f) !== "");
  return (
    <form class="stack" onSubmit={submit}>
      <section class="card form" aria-label={t.what}>
        <Input
          label={t.name}
          hint={t.nameHint}
          value={name}
          set={setName}
          error={wrong(action.error, "name")}
          maxLength={64}
          required
          autofocus
          autocomplete="off"
        />
        <details open={wrong(action.error, "kind") !== "" || wrong(action.error, "groups") !== ""}>
          <summary>{t.more}</summary>
          <div class="stack">
            <Input
              label={t.kind}
              hint={t.kindHint}
              value={kind}
              set={setKind}
              error={wrong(action.error, "kind")}
            />
            <Input
              label={t.groups}
              hint={t.groupsHint}
              value={groups}
              set={setGroups}
              error={wrong(action.error, "groups")}
            />
          </div>
        </details>
      </section>
      <section class="card">
        <RoleChoice name={name} chosen={role} set={setRole} />
      </section>
      <section class="card">
        <ProofChoice chosen={proof} set={setProof} />
      </section>
      {proof === "gateway" && (
        <BundleOptions wish={bundle} set={setBundle} error={wrong(action.error, "passphrase")} />
      )}
      {!known && <Trouble error={action.error} />}
      <div class="row">
        <button class="primary" disabled={action.busy}>
          {t.submit}
        </button>
        <Link class="button" href="/devices">
          {text.cancel}
        </Link>
      </div>
    </form>
  );
}

function Snippets({ list }: { list: Snippet[] }) {
  return (
    <section class="card stack" aria-label={t.programs}>
      <h2>{t.programs}</h2>
      {list.map((s, i) => (
        <details key={s.title} open={i === 0}>
          <summary>
            {s.title} {s.untried && <span class="small muted">({t.untried})</span>}
          </summary>
          <Copy value={s.text} label={s.title} />
        </details>
      ))}
    </section>
  );
}

function CodeKit({ made }: { made: Made }) {
  const code = made.code ?? "";
  const root = made.root ?? "";
  return (
    <section class="card stack" aria-label={t.kit}>
      <h2>{t.kit}</h2>
      <p>{t.codeOnce}</p>
      <div class="row">
        <Qr value={qrText(made.place, code, root)} label={t.qr} />
        <div class="stack grow">
          <Copy value={code} label={t.enrolmentCode} />
          <p class="small muted">{t.codeUse}</p>
        </div>
      </div>
      <h3>{t.commands}</h3>
      <Copy value={enrolCommands(made.place, made.name, code, root)} label={t.commands} />
      <details>
        <summary>{t.renew}</summary>
        <p class="small muted">{t.renewHint}</p>
        <Copy value={renewCommands(made.place)} label={t.renew} />
      </details>
    </section>
  );
}

function FilesKit({ files }: { files: { name: string; content: string }[] }) {
  return (
    <section class="card stack" aria-label={t.kit}>
      <h2>{t.kit}</h2>
      <Alert tone="warn">{t.filesOnce}</Alert>
      <div class="row">
        {files.map((f) => (
          <button key={f.name} onClick={() => download(f.name, f.content, "application/x-pem-file")}>
            {t.download(f.name)}
          </button>
        ))}
      </div>
    </section>
  );
}

/** The roots by which the device knows the gateway: during a rollover there are two. */
async function saveRoots(): Promise<void> {
  const { authorities } = await get<Authorities>("/ca");
  const trusted = authorities.filter(
    (a) => a.kind === "root" && (a.state === "active" || a.state === "next"),
  );
  download("ca.crt", trusted.map((a) => a.pem).join(""), "application/x-pem-file");
}

function PasswordKit({ made }: { made: Made }) {
  const action = useAction();
  const { host, mqtts, mqtt } = made.place;
  const plain = made.proof === "plain";
  const to = plain ? `-p ${mqtt}` : `-p ${mqtts} --cafile ca.crt`;
  const command = `mosquitto_pub -h ${host} ${to} -u '${made.name}' -P '${made.password ?? ""}' -V 5 -q 1 -t 'devices/${made.name}/state' -m hello`;
  return (
    <section class="card stack" aria-label={t.kit}>
      <h2>{t.kit}</h2>
      <Alert tone="warn">
        {t.passwordOnce} {plain && t.plainHint}
      </Alert>
      <dl class="facts">
        <dt>{t.server}</dt>
        <dd class="mono">{plain ? `${host}:${mqtt}` : `${host}:${mqtts} (TLS)`}</dd>
        <dt>{t.user}</dt>
        <dd class="mono">{made.name}</dd>
      </dl>
      <Copy value={made.password ?? ""} label={t.password} />
      <Copy value={command} label="mosquitto_pub" />
      {!plain && (
        <>
          <p class="small muted">{t.rootHint}</p>
          <Trouble error={action.error} />
          <div class="row">
            <button disabled={action.busy} onClick={() => action.run(saveRoots)}>
              {t.download("ca.crt")}
            </button>
          </div>
        </>
      )}
    </section>
  );
}

/** The last denial of the device, with one click to allow it. */
function Denial({ denied }: { denied: Denied }) {
  const [allowed, set] = useState(false);
  const [asking, ask] = useState(false);
  const action = useAction();
  const { device, topic } = denied;
  const run = () =>
    action.run(async () => {
      const rule = { effect: "allow", subject: `device:${device}`, action: denied.action, filter: topic };
      await allow(rule);
      set(true);
    });
  return (
    <Alert tone={allowed ? "good" : "warn"}>
      <div class="row apart">
        <span>
          {allowed ? t.allowed : t.denied} {denied.action} <code>{topic}</code>
        </span>
        {!allowed && denied.rule === 0 && (
          <span class="row">
            <button disabled={action.busy} onClick={run}>
              {t.allow}
            </button>
            {below(topic) && <button onClick={() => ask(true)}>{t.allowMore}</button>}
          </span>
        )}
        <Link href={whyHref(denied)}>{text.access.why}</Link>
      </div>
      {!allowed && denied.rule === 0 && <p class="small">{t.deniedHint}</p>}
      <Trouble error={action.error} />
      {asking && <AllowDialog denied={denied} close={() => ask(false)} />}
    </Alert>
  );
}

const LATE_MS = 30000;

/** Those who were refused before they said who they are: a device whose TLS fails is one of them. */
function Strangers({ list }: { list: GatewayEvent[] }) {
  if (list.length === 0) return null;
  return (
    <Alert tone="warn">
      {t.strangers}
      <ul class="plain">
        {list.map((e) => (
          <li key={e.seq}>
            <span class="mono">{e.address}</span> – {e.reason}
          </li>
        ))}
      </ul>
    </Alert>
  );
}

function Late({ place, code }: { place: Place; code: boolean }) {
  return (
    <details class="late" open>
      <summary>{t.late}</summary>
      <ul>
        {t.lateHints(place, code).map((h) => (
          <li key={h}>{h}</li>
        ))}
      </ul>
    </details>
  );
}

function Step({ done, yes, no }: { done: boolean; yes: string; no: string }) {
  return <Badge tone={done ? "good" : ""}>{done ? `✔ ${yes}` : no}</Badge>;
}

function Watch({ name, proof, place }: { name: string; proof: Proof; place: Place }) {
  const [issued, setIssued] = useState(false);
  const [seen, setSeen] = useState<GatewayEvent>();
  const [refused, setRefused] = useState<GatewayEvent>();
  const [denied, setDenied] = useState<Denied>();
  const [strangers, setStrangers] = useState<GatewayEvent[]>([]);
  const [late, setLate] = useState(false);
  const { last, count } = useLastOf(name);
  useEffect(() => {
    const timer = setTimeout(() => setLate(true), LATE_MS);
    return () => clearTimeout(timer);
  }, []);
  useEvents((e) => {
    if (e.event.endsWith(".refused") && e.device === null && e.actor === null && e.listener !== "admin")
      setStrangers((l) => [...l.filter((x) => x.reason !== e.reason), e].slice(-3));
    if (e.device !== name && e.actor !== name) return;
    if (e.event === "enrol.issued" || e.event === "certificate.issued") setIssued(true);
    if (e.event === "client.connected") {
      setSeen(e);
      setRefused(undefined);
    }
    if (e.event.endsWith(".refused")) setRefused(e);
    const d = deniedOf(e);
    if (d) setDenied(d);
  });
  return (
    <section class="card stack" aria-label={t.watch} aria-live="polite">
      <h2>{t.watch}</h2>
      <div class="row">
        {proof === "code" && <Step done={issued || seen !== undefined} yes={t.issued} no={t.notIssued} />}
        <Step done={seen !== undefined} yes={t.seen} no={t.waiting} />
        <Step done={count > 0} yes={t.published} no={t.notPublished} />
      </div>
      {seen && (
        <p class="small muted">{`${seen.address ?? ""} ${String(seen.detail.protocol ?? "")} ${String(seen.detail.tls ?? "")}`}</p>
      )}
      {last && (
        <div class="stack">
          <p class="small">
            {t.last} <code>{last.topic}</code>
          </p>
          <pre class="payload" tabIndex={0} aria-label={t.last}>
            {show(last, "text")}
          </pre>
        </div>
      )}
      {refused && (
        <Alert tone="bad">
          {t.refused} {refused.reason}
        </Alert>
      )}
      {denied && <Denial key={`${denied.action} ${denied.topic}`} denied={denied} />}
      {!seen && <Strangers list={strangers} />}
      {!seen && late && <Late place={place} code={proof === "code"} />}
    </section>
  );
}

export default function AddDevice({ session }: PageProps) {
  const [made, set] = useState<Made>();
  useEffect(() => scrollTo(0, 0), [made]);
  if (!may(session, "operator"))
    return (
      <>
        <h1>{text.devices.add}</h1>
        <Alert tone="warn">{t.notAllowed}</Alert>
      </>
    );
  if (!made)
    return (
      <>
        <h1>{text.devices.add}</h1>
        <Form done={set} />
      </>
    );
  return (
    <>
      <h1>{t.done(made.name)}</h1>
      {made.proof === "code" && <CodeKit made={made} />}
      {made.files && <FilesKit files={made.files} />}
      {made.bundle && (
        <BundleKit file={made.bundle} passphrase={made.passphrase} legacy={made.legacy ?? false} />
      )}
      {(made.proof === "password" || made.proof === "plain") && <PasswordKit made={made} />}
      <Watch name={made.name} proof={made.proof} place={made.place} />
      {made.proof !== "password" && <Snippets list={snippets(made.place, made.name)} />}
      <div class="row">
        <Link class="button" href={`/devices/${segment(made.name)}`}>
          {t.toDevice}
        </Link>
        <button onClick={() => set(undefined)}>{t.another}</button>
      </div>
    </>
  );
}
