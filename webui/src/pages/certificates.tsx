// SPDX-License-Identifier: Apache-2.0
// Certificates: those of devices, codes for new ones, keys that wait for a decision, and the authority itself.
import type { ComponentChild } from "preact";
import { useState } from "preact/hooks";
import type { PageProps } from "../app";
import { del, get, post } from "../api";
import { colons } from "../kit";
import { useEvents } from "../live";
import { setQuery } from "../router";
import { may, type Session } from "../session";
import { text } from "../text";
import type { Answers, Authorities, Authority, Certificate, Code, Request, Takes } from "../types";
import {
  Alert,
  Badge,
  type Column,
  Copy,
  Link,
  Spinner,
  Time,
  type Tone,
  Trouble,
  useAction,
  useLoad,
} from "../ui/kit";
import { Confirm, download, Listing, tabOf, Tabs, Typed, usePages } from "../ui/pages";
import { toast } from "../ui/toast";

const t = text.certificates;
const SOON_S = 30 * 86400;

const toneOf: Record<string, Tone> = {
  good: "good",
  revoked: "bad",
  expired: "bad",
  hold: "warn",
  superseded: "",
};

const statuses = ["good", "expired", "hold", "revoked", "superseded"] as const;

function Narrow({ query, expiring }: { query: URLSearchParams; expiring: boolean }) {
  return (
    <form class="row" role="search" onSubmit={(e) => e.preventDefault()}>
      <Typed
        type="search"
        label={t.search}
        value={query.get("q") ?? ""}
        set={(q) => setQuery({ q, ...(q ? { expiring: "" } : {}) })}
      />
      <label>
        <span class="visually-hidden">{t.whichStatus}</span>
        <select
          value={expiring ? "expiring" : (query.get("status") ?? "")}
          onChange={(e) => {
            const chosen = e.currentTarget.value;
            const soon = chosen === "expiring";
            setQuery({ status: soon ? "" : chosen, expiring: soon ? "1" : "", ...(soon ? { q: "" } : {}) });
          }}
        >
          <option value="">{t.anyStatus}</option>
          <option value="expiring">{t.onlyExpiring}</option>
          {statuses.map((s) => (
            <option key={s}>{s}</option>
          ))}
        </select>
      </label>
      <label>
        <span class="visually-hidden">{t.whose}</span>
        <select
          value={query.get("of") ?? ""}
          disabled={expiring}
          onChange={(e) => setQuery({ of: e.currentTarget.value })}
        >
          <option value="">{t.ofDevices}</option>
          <option value="gateway">{t.ofGateway}</option>
        </select>
      </label>
    </form>
  );
}

function Issued({ session, query }: { session: Session; query: URLSearchParams }) {
  const expiring = query.get("expiring") !== null;
  const narrowed = query.get("q") !== null || query.get("status") !== null;
  const list = usePages<Certificate>("/certificates", {
    ...(expiring
      ? { expiring: SOON_S }
      : {
          match: query.get("q") ?? "",
          status: query.get("status") ?? "",
          of: query.get("of") ?? "devices",
          order: "desc",
        }),
    limit: 50,
  } satisfies Takes["cert.list"]);
  const [revoking, setRevoking] = useState<Certificate>();
  const action = useAction();
  const operator = may(session, "operator");
  useEvents((e) => {
    if (e.event.startsWith("certificate.")) list.reload();
  });
  const change = (c: Certificate, verb: "hold" | "release") =>
    action.run(async () => {
      await post(`/certificates/${verb}`, { id: c.fingerprint });
      toast(verb === "hold" ? t.held : t.released, () => change(c, verb === "hold" ? "release" : "hold"));
      list.reload();
    });
  const columns: Column<Certificate>[] = [
    {
      title: t.fingerprint,
      cell: (c) => (
        <Link class="mono" href={`/certificates/${c.fingerprint}`}>
          {c.fingerprint.slice(0, 16)}
        </Link>
      ),
    },
    {
      title: t.device,
      cell: (c) =>
        c.device ? <Link href={`/devices/${encodeURIComponent(c.device)}`}>{c.device}</Link> : c.name,
    },
    { title: t.status, cell: (c) => <Badge tone={toneOf[c.status] ?? ""}>{c.status}</Badge> },
    { title: t.ends, cell: (c) => <Time at={c.not_after} /> },
    { title: t.via, cell: (c) => c.via },
    {
      title: t.change,
      cell: (c) =>
        operator && c.device !== null && (c.status === "good" || c.status === "hold") ? (
          <div class="row">
            <button
              disabled={action.busy}
              onClick={() => change(c, c.status === "good" ? "hold" : "release")}
            >
              {c.status === "good" ? t.hold : t.release}
            </button>
            <button class="danger" onClick={() => setRevoking(c)}>
              {t.revoke}
            </button>
          </div>
        ) : null,
    },
  ];
  return (
    <section class="stack" aria-label={t.issued}>
      <Narrow query={query} expiring={expiring} />
      <Trouble error={action.error} />
      <Listing
        label={t.issued}
        list={list}
        columns={columns}
        name={(c) => c.fingerprint}
        empty={expiring ? t.noneExpiring : narrowed ? t.noneFits : t.noneIssued}
      />
      {revoking && (
        <Confirm
          title={t.revokeTitle(revoking.device ?? revoking.name)}
          hint={t.revokeHint}
          word={t.revoke}
          close={() => setRevoking(undefined)}
          run={async () => {
            await post("/certificates/revoke", { id: revoking.fingerprint });
            toast(t.revoked);
            list.reload();
          }}
        />
      )}
    </section>
  );
}

function Codes({ session }: { session: Session }) {
  const list = usePages<Code>("/codes", {});
  const [removing, setRemoving] = useState<Code>();
  useEvents((e) => {
    if (e.event.startsWith("enrol.") || e.event === "certificate.issued") list.reload();
  });
  const columns: Column<Code>[] = [
    { title: t.forDevice, cell: (c) => c.name ?? c.pattern },
    { title: t.state, cell: (c) => <Badge tone={c.state === "valid" ? "good" : ""}>{c.state}</Badge> },
    { title: t.usesLeft, number: true, cell: (c) => c.uses_left },
    { title: t.ends, cell: (c) => <Time at={c.expires} /> },
    { title: t.network, cell: (c) => c.network ?? t.anywhere },
    { title: t.lastUsed, cell: (c) => <Time at={c.last_used} /> },
    { title: t.by, cell: (c) => c.created_by },
    {
      title: t.change,
      cell: (c) =>
        may(session, "operator") ? (
          <button class="danger" onClick={() => setRemoving(c)}>
            {text.remove}
          </button>
        ) : null,
    },
  ];
  return (
    <section class="stack" aria-label={t.codes}>
      <div class="row apart">
        <p class="muted">{t.codesHint}</p>
        {may(session, "operator") && (
          <Link class="button primary" href="/add-device">
            {text.devices.add}
          </Link>
        )}
      </div>
      <Listing label={t.codes} list={list} columns={columns} name={(c) => c.id} empty={t.noCodes} />
      {removing && (
        <Confirm
          title={t.removeCode(removing.name ?? removing.pattern ?? "")}
          hint={t.removeCodeHint}
          word={text.remove}
          close={() => setRemoving(undefined)}
          run={async () => {
            await del(`/codes/${removing.id}`);
            toast(t.codeRemoved);
            list.reload();
          }}
        />
      )}
    </section>
  );
}

function Requests({ session }: { session: Session }) {
  const list = usePages<Request>("/requests", {});
  const action = useAction();
  const decide = (r: Request, verb: "approve" | "deny") =>
    action.run(async () => {
      await post(
        `/requests/${r.id}/${verb}`,
        verb === "approve" && r.device_exists ? { existing: true } : {},
      );
      toast(verb === "approve" ? t.approved(r.name) : t.refused(r.name));
      list.reload();
    });
  useEvents((e) => {
    if (e.event.startsWith("enrol.")) list.reload();
  });
  const columns: Column<Request>[] = [
    { title: t.name, cell: (r) => r.name },
    { title: t.words, cell: (r) => <code>{r.words}</code> },
    { title: t.from, cell: (r) => `${r.source} (${r.via})` },
    { title: t.asked, cell: (r) => <Time at={r.created} /> },
    { title: t.state, cell: (r) => <Badge tone={r.state === "pending" ? "warn" : ""}>{r.state}</Badge> },
    {
      title: t.decide,
      cell: (r) =>
        may(session, "operator") && r.state === "pending" ? (
          <div class="row">
            <button disabled={action.busy} onClick={() => decide(r, "approve")}>
              {r.device_exists ? t.approveExisting : t.approve}
            </button>
            <button class="danger" disabled={action.busy} onClick={() => decide(r, "deny")}>
              {t.deny}
            </button>
          </div>
        ) : (
          r.decided_by
        ),
    },
  ];
  return (
    <section class="stack" aria-label={t.requests}>
      <p class="muted">{t.requestsHint}</p>
      <Trouble error={action.error} />
      <Listing label={t.requests} list={list} columns={columns} name={(r) => r.id} empty={t.noRequests} />
    </section>
  );
}

function AuthorityCard({ a }: { a: Authority }) {
  return (
    <section class="card stack" aria-label={a.subject}>
      <div class="row apart">
        <h2>{a.subject}</h2>
        <div class="row">
          <Badge tone="accent">{a.kind}</Badge>
          <Badge tone={a.state === "active" ? "good" : a.state === "compromised" ? "bad" : ""}>
            {a.state}
          </Badge>
        </div>
      </div>
      <dl class="facts">
        <dt>{t.ends}</dt>
        <dd>
          <Time at={a.not_after} />
        </dd>
        <dt>{t.key}</dt>
        <dd>{t.keyWhere[a.key] ?? a.key}</dd>
        <dt>{t.goodCertificates}</dt>
        <dd>{a.certificates}</dd>
      </dl>
      <Copy value={colons(a.fingerprint)} label={t.sha256} />
      <div class="row">
        <button onClick={() => download(`${a.name}.crt`, a.pem, "application/x-pem-file")}>{t.save}</button>
      </div>
    </section>
  );
}

function pem(name: string, parts: { pem: string }[]) {
  download(name, parts.map((p) => p.pem).join(""), "application/x-pem-file");
}

function ForOthers({ data }: { data: Authorities }) {
  const lists = useAction();
  const roots = data.authorities.filter(
    (a) => a.kind === "root" && (a.state === "active" || a.state === "next"),
  );
  const saveLists = () =>
    lists.run(async () => pem("crl.pem", (await get<Answers["crl.show"]>("/ca/crl")).items));
  return (
    <section class="card stack" aria-label={t.forOthers}>
      <h2>{t.forOthers}</h2>
      <p class="muted">{t.forOthersHint}</p>
      {data.lists_until && (
        <dl class="facts">
          <dt>{t.listsUntil}</dt>
          <dd>
            <Time at={data.lists_until} />
          </dd>
        </dl>
      )}
      <Trouble error={lists.error} />
      <div class="row">
        <button onClick={() => pem("roots.pem", roots)}>{t.saveRoots}</button>
        <button disabled={lists.busy} onClick={saveLists}>
          {t.saveLists}
        </button>
      </div>
    </section>
  );
}

function AuthorityTab() {
  const ca = useLoad((signal) => get<Authorities>("/ca", {}, signal), []);
  const data = ca.data;
  const roots = (data?.authorities ?? []).filter((a) => a.kind === "root");
  return (
    <section class="stack" aria-label={t.authority}>
      <Trouble error={ca.error} retry={ca.reload} />
      {!data && ca.loading && <Spinner />}
      {data?.locked && (
        <Alert tone="warn">
          {t.locked} {data.lists_until && t.lockedLists} {data.lists_until && <Time at={data.lists_until} />}
        </Alert>
      )}
      {roots.some((a) => a.key === "here" && a.state === "active") && <Alert tone="warn">{t.rootHere}</Alert>}
      <div class="columns">
        {data?.authorities.map((a) => (
          <AuthorityCard key={a.fingerprint} a={a} />
        ))}
      </div>
      {data && <ForOthers data={data} />}
      {data && (
        <section class="card stack" aria-label={t.onGateway}>
          <h2>{t.onGateway}</h2>
          <p class="muted">{t.onGatewayHint}</p>
          <Copy value={t.onGatewayCommands} label={t.onGateway} />
        </section>
      )}
      {data && (
        <section class="card stack" aria-label={t.rollover}>
          <h2>{t.rollover}</h2>
          {data.rollover !== "none" && <Alert>{t.rolloverState(data.rollover, data.devices_left)}</Alert>}
          <p class="muted">{t.rolloverHint}</p>
          <Copy value={t.rolloverCommands} label={t.rollover} />
        </section>
      )}
    </section>
  );
}

function One({ id }: { id: string }) {
  const load = useLoad((signal) => get<Answers["cert.show"]>(`/certificates/${id}`, {}, signal), [id]);
  const c = load.data;
  const facts: [string, ComponentChild][] = c
    ? [
        [t.status, <Badge tone={toneOf[c.status] ?? ""}>{c.status}</Badge>],
        [
          t.device,
          c.device ? <Link href={`/devices/${encodeURIComponent(c.device)}`}>{c.device}</Link> : c.name,
        ],
        [t.issuer, c.issuer],
        [t.serial, <span class="mono">{c.serial}</span>],
        [t.begins, <Time at={c.not_before} exact />],
        [t.ends, <Time at={c.not_after} exact />],
        [t.issuedBy, `${c.issued_by} (${c.via})`],
        ...(c.revoked_at
          ? ([[t.revokedAt, <Time at={c.revoked_at} exact />]] as [string, ComponentChild][])
          : []),
        ...(c.reason ? ([[t.reason, c.reason]] as [string, ComponentChild][]) : []),
      ]
    : [];
  return (
    <>
      <nav class="small" aria-label={text.device.where}>
        <Link href="/certificates">{t.title}</Link>
      </nav>
      <h1>{t.one}</h1>
      <Trouble error={load.error} retry={load.reload} />
      {!c && load.loading && <Spinner />}
      {c && (
        <section class="card stack" aria-label={t.one}>
          <Copy value={colons(c.fingerprint)} label={t.sha256} />
          <dl class="facts">
            {facts.map(([name, value]) => (
              <>
                <dt>{name}</dt>
                <dd>{value}</dd>
              </>
            ))}
          </dl>
          {c.pem && (
            <div class="row">
              <button onClick={() => download(`${c.name}.crt`, c.pem, "application/x-pem-file")}>
                {t.save}
              </button>
            </div>
          )}
        </section>
      )}
    </>
  );
}

const tabs = [
  { id: "issued", title: t.issued },
  { id: "codes", title: t.codes },
  { id: "requests", title: t.requests },
  { id: "authority", title: t.authority },
];

export default function Certificates({ place, session }: PageProps) {
  const id = place.parts[1];
  const tab = tabOf(place, tabs);
  if (id !== undefined) return <One id={id} />;
  return (
    <>
      <h1>{t.title}</h1>
      <Tabs place={place} tabs={tabs} label={t.title} />
      {tab === "issued" && <Issued session={session} query={place.query} />}
      {tab === "codes" && <Codes session={session} />}
      {tab === "requests" && <Requests session={session} />}
      {tab === "authority" && <AuthorityTab />}
    </>
  );
}
