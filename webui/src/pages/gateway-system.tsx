// SPDX-License-Identifier: Apache-2.0
// The program itself: which version runs since when, its processes, and where updates come from.
import { bytes, duration } from "../format";
import { useLive } from "../live";
import { text } from "../text";
import type { Status } from "../types";
import { Badge, type Column, Copy, Spinner, Table, Time } from "../ui/kit";

const t = text.system;

type Process = Status["processes"][number];

const columns: Column<Process>[] = [
  { title: t.process, cell: (p) => <strong>{p.name}</strong> },
  {
    title: t.state,
    cell: (p) => <Badge tone={p.state === "serving" ? "good" : "bad"}>{t.states[p.state] ?? p.state}</Badge>,
  },
  { title: t.since, cell: (p) => <Time at={p.since} exact /> },
  { title: t.restarts, number: true, cell: (p) => p.restarts },
  { title: t.lastExit, cell: (p) => p.last_exit || "–" },
  { title: t.pid, number: true, cell: (p) => p.pid },
];

export function System() {
  const { status } = useLive();
  if (!status) return <Spinner />;
  return (
    <div class="stack">
      <section class="card stack" aria-label={t.program}>
        <h2>{t.program}</h2>
        <dl class="facts">
          <dt>{t.version}</dt>
          <dd>{status.version}</dd>
          <dt>{t.built}</dt>
          <dd>
            <Time at={status.built} exact />
          </dd>
          <dt>{t.started}</dt>
          <dd>
            <Time at={status.started} exact />
          </dd>
          <dt>{t.uptime}</dt>
          <dd>{duration(status.uptime)}</dd>
          <dt>{t.config}</dt>
          <dd>
            <code>{status.config_path}</code>
          </dd>
          <dt>{t.disk}</dt>
          <dd>{t.diskOf(bytes(status.disk.free ?? 0), bytes(status.disk.total ?? 0))}</dd>
          <dt>{t.clock}</dt>
          <dd>{status.clock.ok ? t.clockOk : t.clockWrong}</dd>
        </dl>
      </section>
      <section class="card stack" aria-label={t.updates}>
        <h2>{t.updates}</h2>
        <p class="muted">{t.updatesHint}</p>
        <Copy value="sudo apt update && sudo apt install --only-upgrade gatehouse" label={t.updates} />
      </section>
      <section class="stack" aria-label={t.processes}>
        <h2>{t.processes}</h2>
        <Table label={t.processes} columns={columns} rows={status.processes} name={(p) => p.name} />
      </section>
    </div>
  );
}
