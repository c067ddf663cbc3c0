// SPDX-License-Identifier: Apache-2.0
// Overview: whether all is well, in one look.
import type { ComponentChildren } from "preact";
import { get } from "../api";
import { bytes, count, duration } from "../format";
import { rate, useLive } from "../live";
import { text } from "../text";
import type { SecurityCheck, Status } from "../types";
import { Chart } from "../ui/chart";
import { EventList, useEventLog } from "../ui/event";
import { Alert, Badge, Empty, Link, Spinner, Trouble, useLoad } from "../ui/kit";
import { scoreTone } from "./check";

const t = text.overview;
const SHOWN = 60; // of which the same are told once

function Figure(props: {
  title: string;
  value: string;
  unit?: string;
  href?: string;
  children?: ComponentChildren;
}) {
  return (
    <div class="card stack tight">
      <h2 class="small muted">{props.href ? <Link href={props.href}>{props.title}</Link> : props.title}</h2>
      <div class="figure">
        {props.value} {props.unit && <span class="small muted">{props.unit}</span>}
      </div>
      <div class="small muted">{props.children}</div>
    </div>
  );
}

function last(points: { value: number }[]): number {
  return points[points.length - 1]?.value ?? 0;
}

function Traffic() {
  const { samples } = useLive();
  const messagesIn = rate(samples, "messages.received");
  const messagesOut = rate(samples, "messages.sent");
  const bytesIn = rate(samples, "bytes.received");
  const bytesOut = rate(samples, "bytes.sent");
  const perSecond = (n: number) => `${bytes(n)}/s`;
  return (
    <div class="columns">
      <section class="card stack" aria-label={t.messages}>
        <h2>{t.messages}</h2>
        <Chart
          label={t.messages}
          format={count}
          lines={[
            { label: t.in, colour: "--accent", points: messagesIn },
            { label: t.out, colour: "--warn", points: messagesOut },
          ]}
        />
      </section>
      <section class="card stack" aria-label={t.bytes}>
        <h2>{t.bytes}</h2>
        <Chart
          label={t.bytes}
          format={perSecond}
          least={100}
          lines={[
            { label: t.in, colour: "--accent", points: bytesIn },
            { label: t.out, colour: "--warn", points: bytesOut },
          ]}
        />
      </section>
    </div>
  );
}

function Health({ status }: { status: Status }) {
  const down = status.processes.filter((p) => p.state !== "serving");
  return (
    <section class="card stack" aria-label={t.processes}>
      <h2>{t.processes}</h2>
      {down.length > 0 && <Alert tone="bad">{t.down(down.map((p) => p.name).join(", "))}</Alert>}
      <ul class="events">
        {status.processes.map((p) => (
          <li key={p.name}>
            <span>{p.name}</span>
            <span>
              <Badge tone={p.state === "serving" ? "good" : "bad"}>{p.state}</Badge>{" "}
              {p.restarts > 0 && <span class="small muted">{t.restarts(p.restarts, p.last_exit)}</span>}
            </span>
          </li>
        ))}
      </ul>
    </section>
  );
}

function Listeners({ status }: { status: Status }) {
  return (
    <section class="card stack" aria-label={t.listeners}>
      <h2>{t.listeners}</h2>
      <ul class="events">
        {status.listeners.map((l) => (
          <li key={`${l.name} ${l.address}`}>
            <span>{l.name}</span>
            <span>
              <span class="mono">{l.address}</span> <Badge>{l.protocol}</Badge>{" "}
              {l.connections > 0 && <span class="small muted">{t.connections(l.connections)}</span>}
            </span>
          </li>
        ))}
      </ul>
    </section>
  );
}

function Recent() {
  const log = useEventLog(
    { severity: "notice" },
    SHOWN,
    (e) => e.severity !== "info" && e.severity !== "debug",
  );
  return (
    <section class="card stack" aria-label={t.recent}>
      <div class="row apart">
        <h2>{t.recent}</h2>
        <Link href="/events">{t.all}</Link>
      </div>
      {log.foot}
      {log.loaded && log.all.length === 0 && <Empty title={t.quiet} />}
      <EventList events={log.all} fold />
    </section>
  );
}

function Score() {
  const check = useLoad((signal) => get<SecurityCheck>("/security", {}, signal), []);
  const c = check.data;
  const open = c ? c.findings.filter((f) => !f.muted).length : 0;
  return (
    <Figure title={t.score} value={c ? String(c.score) : "–"} unit={t.outOf} href="/check">
      {c && <Badge tone={scoreTone(c)}>{t.findings(open)}</Badge>}
    </Figure>
  );
}

/** Devices' connections by whether their listener encrypts. */
function Encryption({ status }: { status: Status }) {
  const on = (names: string[]) =>
    status.listeners
      .filter((l) => l.protocol.split("+").some((p) => names.includes(p)))
      .reduce((sum, l) => sum + l.connections, 0);
  const encrypted = on(["mqtts", "wss"]);
  const plain = on(["mqtt", "ws"]);
  const all = encrypted + plain;
  return (
    <Figure
      title={t.encrypted}
      value={all === 0 ? "–" : `${Math.floor((encrypted / all) * 1000) / 10} %`}
      href="/gateway?tab=listeners"
    >
      {all === 0 ? t.noConnections : plain > 0 ? <Badge tone="warn">{t.plain(plain)}</Badge> : t.plain(0)}
    </Figure>
  );
}

function Figures({ status }: { status: Status }) {
  const { samples } = useLive();
  const c = status.counters;
  return (
    <div class="cards">
      <Figure title={t.connected} value={count(status.devices.connected)} href="/devices?state=connected">
        {t.ofDevices(status.devices.total)}
      </Figure>
      <Figure title={t.messagesPerSecond} value={count(last(rate(samples, "messages.received")))}>
        {t.outPerSecond(count(last(rate(samples, "messages.sent"))))}
      </Figure>
      <Figure title={t.certificates} value={count(status.certificates.good)} href="/certificates">
        {status.certificates.expiring > 0 ? (
          <Badge tone="warn">{t.expiring(status.certificates.expiring)}</Badge>
        ) : (
          t.noneExpiring
        )}
      </Figure>
      <Figure title={t.denied} value={count(c["messages.denied"] ?? 0)} href="/events?name=acl.denied">
        {t.refused(count((c["connects.refused"] ?? 0) + (c["handshakes.failed"] ?? 0)))}
      </Figure>
      <Figure title={t.retained} value={count(c["messages.retained"] ?? 0)}>
        {bytes(c["messages.retained.bytes"] ?? 0)}
      </Figure>
      <Encryption status={status} />
      <Score />
      <Figure title={t.uptime} value={duration(status.uptime)}>
        {`${text.product} ${status.version}`}
      </Figure>
    </div>
  );
}

function FirstSteps() {
  return (
    <section class="card stack" aria-label={t.firstSteps}>
      <h2>{t.firstSteps}</h2>
      <p class="muted">{t.noDevices}</p>
      <ol class="steps">
        {t.steps.map((s, i) => (
          <li key={s.href}>
            <Link class={i === 0 ? "button primary" : "button"} href={s.href}>
              {s.title}
            </Link>
            <span class="small muted">{s.hint}</span>
          </li>
        ))}
      </ol>
    </section>
  );
}

export default function Overview() {
  const first = useLoad((signal) => get<Status>("/status", {}, signal), []);
  const live = useLive();
  const status = live.status ?? first.data;
  return (
    <>
      <div class="row apart">
        <h1>{t.title}</h1>
        <span class="small muted">
          <span class={`dot ${live.online ? "good" : ""}`} aria-hidden="true" />{" "}
          {live.online ? t.live : t.connecting}
        </span>
      </div>
      {!status && <Trouble error={first.error} retry={first.reload} />}
      {!status && first.loading && <Spinner />}
      {status && status.devices.total === 0 && <FirstSteps />}
      {status && <Figures status={status} />}
      <Traffic />
      {status && (
        <div class="columns">
          <Recent />
          <div class="stack">
            <Health status={status} />
            <Listeners status={status} />
          </div>
        </div>
      )}
    </>
  );
}
