// SPDX-License-Identifier: Apache-2.0
// One device: what it is, what it has, what it may, what it does now, what happened to it.
import { useEffect, useState } from "preact/hooks";
import type { PageProps } from "../app";
import { del, get, patch, post, segment } from "../api";
import { bytes, count } from "../format";
import { useEvents } from "../live";
import { navigate } from "../router";
import { may } from "../session";
import { text } from "../text";
import type { Certificate, Client, DeviceDetail, GatewayEvent, Rule } from "../types";
import { EventList, useEventLog } from "../ui/event";
import {
  Badge,
  type Column,
  Dialog,
  Empty,
  Form,
  Input,
  Link,
  Spinner,
  Table,
  Time,
  Trouble,
  useAction,
  useLoad,
  words,
  wrong,
} from "../ui/kit";
import { Learn } from "../ui/learn";
import { Confirm } from "../ui/pages";
import { toast } from "../ui/toast";
import { undoLast } from "../ui/undo";
import { ClientDialog } from "./device-client";
import { Seen, State } from "./devices";

const t = text.device;
const EVENTS = 50;
const PRESENCE_MS = 1300; // the list of connections follows an event within a second

const path = (name: string) => `/devices/${segment(name)}`;

function Facts({ device }: { device: DeviceDetail }) {
  return (
    <dl class="facts">
      <dt>{t.seen}</dt>
      <dd>
        <Seen device={device} />
        {device.last_address && (
          <div class="small muted">
            {t.seenFrom(device.last_address, device.last_listener ?? "")},{" "}
            {[device.last_protocol, device.last_tls].filter((x) => x).join(", ")}
          </div>
        )}
      </dd>
      <dt>{t.kind}</dt>
      <dd>{device.kind}</dd>
      <dt>{t.groups}</dt>
      <dd>{device.groups.join(", ") || text.none}</dd>
      <dt>{t.roles}</dt>
      <dd>{device.roles.join(", ") || text.none}</dd>
      <dt>{t.password}</dt>
      <dd>{device.password ? text.yes : text.no}</dd>
      <dt>{t.note}</dt>
      <dd>{device.note || text.none}</dd>
      <dt>{t.uuid}</dt>
      <dd class="mono small">{device.uuid}</dd>
      <dt>{t.added}</dt>
      <dd>
        <Time at={device.created} /> {t.by(device.created_by)}
      </dd>
    </dl>
  );
}

function Edit({ device, close, done }: { device: DeviceDetail; close: () => void; done: () => void }) {
  const [kind, setKind] = useState(device.kind);
  const [groups, setGroups] = useState(device.groups.join(", "));
  const [roles, setRoles] = useState(device.roles.join(", "));
  const [note, setNote] = useState(device.note);
  const action = useAction();
  const save = async () => {
    await patch(path(device.name), { kind, groups: words(groups), roles: words(roles), note });
    toast(t.changed(device.name), undoLast("device", device.name, done));
    done();
    close();
  };
  return (
    <Dialog title={t.edit(device.name)} close={close}>
      <Form action={action} run={save} fields={["kind", "groups", "roles", "note"]} word={text.save}>
        <Input label={t.kind} value={kind} set={setKind} error={wrong(action.error, "kind")} />
        <Input
          label={t.groups}
          hint={t.list}
          value={groups}
          set={setGroups}
          error={wrong(action.error, "groups")}
        />
        <Input
          label={t.roles}
          hint={t.list}
          value={roles}
          set={setRoles}
          error={wrong(action.error, "roles")}
        />
        <Input label={t.note} value={note} set={setNote} error={wrong(action.error, "note")} />
      </Form>
    </Dialog>
  );
}

function Password({ device, close, done }: { device: DeviceDetail; close: () => void; done: () => void }) {
  const [password, set] = useState("");
  const action = useAction();
  const save = async (value: string) => {
    await patch(path(device.name), { password: value });
    toast(value ? t.passwordSet(device.name) : t.passwordGone(device.name));
    done();
    close();
  };
  return (
    <Dialog title={t.setPassword} close={close}>
      <Form
        action={action}
        run={() => save(password)}
        fields={["password"]}
        word={text.save}
        more={
          device.password && (
            <button
              type="button"
              class="danger"
              disabled={action.busy}
              onClick={() => action.run(() => save(""))}
            >
              {t.removePassword}
            </button>
          )
        }
      >
        <Input
          label={t.newPassword}
          hint={t.passwordHint}
          value={password}
          set={set}
          error={wrong(action.error, "password")}
          autocomplete="off"
          required
        />
      </Form>
    </Dialog>
  );
}

function Remove({ device, close }: { device: DeviceDetail; close: () => void }) {
  const remove = async () => {
    await del(path(device.name));
    toast(t.removed(device.name));
    navigate("/devices");
  };
  return (
    <Confirm
      title={t.remove(device.name)}
      hint={t.removeHint}
      word={text.remove}
      run={remove}
      close={close}
    />
  );
}

function Certificates({
  list,
  operator,
  done,
}: {
  list: Certificate[];
  operator: boolean;
  done: () => void;
}) {
  const [revoking, setRevoking] = useState<Certificate>();
  const columns: Column<Certificate>[] = [
    {
      title: t.fingerprint,
      cell: (c) => (
        <Link class="mono" href={`/certificates/${c.fingerprint}`}>
          {c.fingerprint.slice(0, 16)}
        </Link>
      ),
    },
    { title: t.status, cell: (c) => <Badge tone={c.status === "good" ? "good" : "bad"}>{c.status}</Badge> },
    { title: t.ends, cell: (c) => <Time at={c.not_after} /> },
    { title: t.via, cell: (c) => c.via },
    {
      title: t.action,
      cell: (c) =>
        operator && c.status === "good" ? (
          <button class="danger" onClick={() => setRevoking(c)}>
            {t.revoke}
          </button>
        ) : null,
    },
  ];
  return (
    <section class="stack" aria-label={t.certificates}>
      <h2>{t.certificates}</h2>

      {list.length === 0 ? (
        <p class="muted">{t.noCertificates}</p>
      ) : (
        <Table label={t.certificates} columns={columns} rows={list} name={(c) => c.fingerprint} />
      )}
      {revoking && (
        <Confirm
          title={text.certificates.revokeTitle(revoking.device ?? revoking.name)}
          hint={text.certificates.revokeHint}
          word={t.revoke}
          close={() => setRevoking(undefined)}
          run={async () => {
            await post("/certificates/revoke", { id: revoking.fingerprint });
            toast(t.revoked);
            done();
          }}
        />
      )}
    </section>
  );
}

function Connections({ list, operator, done }: { list: Client[]; operator: boolean; done: () => void }) {
  const action = useAction();
  const [shown, setShown] = useState("");
  const kick = (c: Client) =>
    action.run(async () => {
      await del(`/clients/${segment(c.client_id)}`);
      toast(t.kicked(c.client_id));
      done();
    });
  const columns: Column<Client>[] = [
    { title: t.clientId, cell: (c) => <span class="mono">{c.client_id}</span> },
    { title: t.address, cell: (c) => <span class="mono">{c.address}</span> },
    {
      title: t.protocol,
      cell: (c) => (
        <>
          <span class="nowrap">{c.protocol}</span>
          {c.tls && <div class="small muted nowrap">{c.tls}</div>}
        </>
      ),
    },
    { title: t.since, cell: (c) => <Time at={c.connected} /> },
    { title: t.subscriptions, number: true, cell: (c) => count(c.subscriptions) },
    { title: t.inOut, number: true, cell: (c) => `${count(c.messages_in)} / ${count(c.messages_out)}` },
    {
      title: t.perMinute,
      number: true,
      cell: (c) => `${count(c.messages_in_per_minute)} / ${count(c.messages_out_per_minute)}`,
    },
    { title: t.bytes, number: true, cell: (c) => `${bytes(c.bytes_in)} / ${bytes(c.bytes_out)}` },
    {
      title: t.action,
      cell: (c) => (
        <div class="row">
          <button onClick={() => setShown(c.client_id)}>{text.client.details}</button>
          {operator && (
            <button disabled={action.busy} onClick={() => kick(c)}>
              {t.kick}
            </button>
          )}
        </div>
      ),
    },
  ];
  return (
    <section class="stack" aria-label={t.connections}>
      <h2>{t.connections}</h2>
      <Trouble error={action.error} />
      {list.length === 0 ? (
        <p class="muted">{t.notConnected}</p>
      ) : (
        <Table label={t.connections} columns={columns} rows={list} name={(c) => c.client_id} />
      )}
      {shown && <ClientDialog clientId={shown} operator={operator} close={() => setShown("")} />}
    </section>
  );
}

function Rules({ list }: { list: Rule[] }) {
  const columns: Column<Rule>[] = [
    { title: t.effect, cell: (r) => <Badge tone={r.effect === "allow" ? "good" : "bad"}>{r.effect}</Badge> },
    { title: t.actions, cell: (r) => r.actions.join(", ") },
    { title: t.filter, cell: (r) => <span class="mono">{r.filter}</span> },
    { title: t.from, cell: (r) => r.subject },
    { title: t.priority, number: true, cell: (r) => r.priority },
    {
      title: t.conditions,
      cell: (r) =>
        r.learn_until ? (
          <Badge tone="warn">
            {text.access.learnUntil} <Time at={r.learn_until} exact />
          </Badge>
        ) : (
          r.conditions
        ),
    },
  ];
  return (
    <section class="stack" aria-label={t.rules}>
      <h2>{t.rules}</h2>
      {list.length === 0 ? (
        <p class="muted">{t.noRules}</p>
      ) : (
        <Table label={t.rules} columns={columns} rows={list} name={(r) => r.id} />
      )}
    </section>
  );
}

function Timeline({ name, operator, refresh }: { name: string; operator: boolean; refresh: () => void }) {
  const isOurs = (e: GatewayEvent) => e.device === name || e.actor === name;
  const log = useEventLog({ device: name }, EVENTS, isOurs);
  useEvents((e) => {
    if (isOurs(e)) setTimeout(refresh, PRESENCE_MS);
  });
  useEffect(() => {
    // what happened just before the page was opened is in no event that is still to come
    const timer = setTimeout(refresh, PRESENCE_MS);
    return () => clearTimeout(timer);
  }, []);
  return (
    <section class="card stack" aria-label={t.timeline}>
      <h2>{t.timeline}</h2>
      {log.foot}
      {log.loaded && log.all.length === 0 && <Empty title={t.noEvents} />}
      <EventList events={log.all} operator={operator} done={log.reload} />
    </section>
  );
}

type Open = "edit" | "password" | "remove" | undefined;

function Actions({ device, reload }: { device: DeviceDetail; reload: () => void }) {
  const [open, set] = useState<Open>();
  const action = useAction();
  const close = () => set(undefined);
  const enable = (enabled: boolean) =>
    action.run(async () => {
      await patch(path(device.name), { enabled });
      reload();
      toast(enabled ? t.enabled(device.name) : t.disabled(device.name), () => enable(!enabled));
    });
  return (
    <>
      <div class="row">
        <button onClick={() => set("edit")}>{t.change}</button>
        <button onClick={() => set("password")}>{t.setPassword}</button>
        <button disabled={action.busy} onClick={() => enable(!device.enabled)}>
          {device.enabled ? t.disable : t.enable}
        </button>
        <button class="danger" onClick={() => set("remove")}>
          {text.remove}
        </button>
      </div>
      <Trouble error={action.error} />
      {open === "edit" && <Edit device={device} close={close} done={reload} />}
      {open === "password" && <Password device={device} close={close} done={reload} />}
      {open === "remove" && <Remove device={device} close={close} />}
    </>
  );
}

export function DevicePage({ name, session }: PageProps & { name: string }) {
  const load = useLoad((signal) => get<DeviceDetail>(path(name), {}, signal), [name]);
  const device = load.data;
  const operator = may(session, "operator");
  return (
    <>
      <nav class="small" aria-label={t.where}>
        <Link href="/devices">{text.devices.title}</Link>
      </nav>
      <div class="row">
        <h1>{name}</h1>
        {device && <State device={device} />}
      </div>
      <Trouble error={load.error} retry={load.reload} />
      {!device && load.loading && <Spinner />}
      {device && operator && <Actions device={device} reload={load.reload} />}
      {device && (
        <div class="split">
          <div class="stack">
            <section class="card" aria-label={t.facts}>
              <Facts device={device} />
            </section>
            <Connections list={device.clients} operator={operator} done={load.reload} />
            <Certificates list={device.certificates} operator={operator} done={load.reload} />
            <Rules list={device.rules} />
            <Learn who={{ device: name }} operator={operator} changed={load.reload} />
          </div>
          <Timeline name={name} operator={operator} refresh={load.reload} />
        </div>
      )}
    </>
  );
}
