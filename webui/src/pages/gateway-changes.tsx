// SPDX-License-Identifier: Apache-2.0
// Revisions with what they changed and the way back; and the gateway as one document.
import { useState } from "preact/hooks";
import type { PageProps } from "../app";
import { type Document, get, post, postForFile, put, segment } from "../api";
import { may, type Session } from "../session";
import { text } from "../text";
import type { Answers, Revision } from "../types";
import { Differences } from "../ui/diff";
import { isRisky, settingsChanged, WAIT } from "../ui/held";
import {
  Alert,
  Badge,
  Copy,
  Dialog,
  Link,
  Spinner,
  Time,
  Trouble,
  useAction,
  useLoad,
  type Column,
} from "../ui/kit";
import { download, Filters, Listing, usePages } from "../ui/pages";
import { toast } from "../ui/toast";
import { deviceHref } from "./devices";

const t = text.changes;

type Shown = Pick<Answers["revision.show"], "items" | "left_out">;
type Planned = Answers["state.diff"];

function ShowRevision(props: { revision: Revision; close: () => void; done: () => void }) {
  const { revision, close, done } = props;
  const shown = useLoad((signal) => get<Shown>(`/revisions/${segment(revision.id)}`, {}, signal), []);
  const action = useAction();
  const risky = revision.changes.some((c) => c.kind === "setting" && isRisky(c.object));
  const revert = () =>
    action.run(async () => {
      const answer = await post<Answers["revision.revert"]>(`/revisions/${segment(revision.id)}/revert`, {
        ...(risky ? { "confirm-within": WAIT } : {}),
      });
      toast(answer.hint ?? t.reverted(answer.id));
      if (risky) settingsChanged();
      done();
      close();
    });
  return (
    <Dialog title={t.revision(revision.id)} close={close}>
      <p>
        {revision.operation} {revision.target} · {revision.actor} ({revision.source}) ·{" "}
        <Time at={revision.time} exact />
      </p>
      <Trouble error={shown.error} retry={shown.reload} />
      {shown.loading && !shown.data && <Spinner />}
      {shown.data && <Differences items={shown.data.items} leftOut={shown.data.left_out} />}
      <Trouble error={action.error} />
      <div class="row">
        <button class="danger" disabled={action.busy} onClick={revert}>
          {t.revert}
        </button>
        <span class="small muted">{t.revertHint}</span>
      </div>
    </Dialog>
  );
}

export function Changes({ place }: { place: PageProps["place"] }) {
  const object = place.query.get("object") ?? "";
  const actor = place.query.get("actor") ?? "";
  const list = usePages<Revision>("/revisions", { object, actor, limit: 50 });
  const [showing, setShowing] = useState<Revision>();
  const columns: Column<Revision>[] = [
    { title: t.when, cell: (r) => <Time at={r.time} exact /> },
    {
      title: t.what,
      cell: (r) => (
        <>
          {r.changes.slice(0, 3).map((c) => (
            <div key={`${c.kind} ${c.object}`}>
              {text.diff.kinds[c.kind] ?? c.kind} {c.kind === "cert" ? c.object.slice(0, 16) : c.object}{" "}
              <span class="muted">{text.diff[c.change]}</span>
            </div>
          ))}
          {r.objects > 3 && <span class="muted">{text.diff.more(r.objects - 3)}</span>}
        </>
      ),
    },
    { title: t.who, cell: (r) => r.actor },
    { title: t.operation, cell: (r) => <code>{r.operation}</code> },
    {
      title: t.show,
      cell: (r) => (
        <button aria-label={t.showOf(r.id)} onClick={() => setShowing(r)}>
          {t.show}
        </button>
      ),
    },
  ];
  const filters: [string, string][] = [
    ["object", t.object],
    ["actor", t.who],
  ];
  return (
    <section class="stack" aria-label={t.title}>
      <Filters place={place} filters={filters} />
      <Listing
        label={t.title}
        list={list}
        columns={columns}
        name={(r) => r.id}
        empty={t.none}
        hint={t.noneHint}
      />
      {showing && <ShowRevision revision={showing} close={() => setShowing(undefined)} done={list.reload} />}
    </section>
  );
}

/** A document that was chosen, with what applying it would do. */
interface Plan {
  name: string;
  state: Document;
  shown: Planned;
}

type Bare = Pick<Planned, "without_credentials" | "without_credentials_count">;

/** Devices that a document adds: what they prove themselves with is not in it. */
function WithoutCredentials({ of, linked }: { of: Bare; linked?: boolean }) {
  const all = of.without_credentials_count;
  if (all === 0) return null;
  return (
    <Alert tone="warn">
      <p>{t.bare(all)}</p>
      <p>
        {of.without_credentials.map((name, i) => (
          <span key={name}>
            {i > 0 && ", "}
            {linked ? <Link href={deviceHref(name)}>{name}</Link> : name}
          </span>
        ))}
        {all > of.without_credentials.length && ` ${text.diff.more(all - of.without_credentials.length)}`}
      </p>
      <p class="small">{t.bareDo}</p>
    </Alert>
  );
}

function ApplyState({ session }: { session: Session }) {
  const [prune, setPrune] = useState(false);
  const [plan, setPlan] = useState<Plan>();
  const [applied, setApplied] = useState<Bare>();
  const action = useAction();
  const args = (state: Document) => ({ state, ...(prune ? { prune } : {}) });
  const choose = (file: File | undefined) =>
    action.run(async () => {
      setPlan(undefined);
      setApplied(undefined);
      if (!file) return;
      const state = await file
        .text()
        .then((s) => JSON.parse(s) as Document)
        .catch(() => {
          throw new Error(t.noJson(file.name));
        });
      setPlan({ name: file.name, state, shown: await post<Planned>("/state/diff", args(state)) });
    });
  const apply = (p: Plan) =>
    action.run(async () => {
      const risky = p.shown.items.some((d) => d.kind === "setting" && isRisky(d.object));
      const more = risky ? { "confirm-within": WAIT } : {};
      const answer = await put<Answers["state.apply"]>("/state", { ...args(p.state), ...more });
      setPlan(undefined);
      setApplied(answer);
      if (risky) settingsChanged();
      toast(t.applied(answer.id));
    });
  return (
    <section class="card stack" aria-label={t.apply}>
      <h2>{t.apply}</h2>
      <p class="muted">{t.applyHint}</p>
      <label class="check">
        <input type="checkbox" checked={prune} onChange={(e) => setPrune(e.currentTarget.checked)} />{" "}
        {t.prune}
      </label>
      <label class="field">
        <span>{t.file}</span>
        <input
          type="file"
          accept="application/json,.json"
          onChange={(e) => choose(e.currentTarget.files?.[0])}
          disabled={action.busy}
        />
      </label>
      <Trouble error={action.error} />
      {applied && <WithoutCredentials of={applied} linked />}
      {plan && plan.shown.items.length === 0 && <Alert tone="good">{t.same(plan.name)}</Alert>}
      {plan && plan.shown.items.length > 0 && (
        <>
          <WithoutCredentials of={plan.shown} />
          <Differences items={plan.shown.items} leftOut={plan.shown.left_out} />
          {may(session, "admin") && (
            <div class="row">
              <button class="primary" disabled={action.busy} onClick={() => apply(plan)}>
                {t.applyNow}
              </button>
              <Badge>{text.diff.count(plan.shown.items.length + plan.shown.left_out)}</Badge>
            </div>
          )}
        </>
      )}
    </section>
  );
}

function BackupCard({ session }: { session: Session }) {
  const state = useLoad((signal) => get<Answers["backup.show"]>("/backup", {}, signal), []);
  const action = useAction();
  const make = () =>
    action.run(async () => {
      const file = await postForFile("/backup", {});
      download(file.name, file.content);
      toast(t.backupMade(file.name));
      state.reload();
    });
  const b = state.data;
  return (
    <section class="card stack" aria-label={t.backup}>
      <h2>{t.backup}</h2>
      <p class="muted">{t.backupHint}</p>
      <Trouble error={state.error} retry={state.reload} />
      {b && (
        <p>
          {b.last === null ? (
            <Badge tone="warn">{t.noBackup}</Badge>
          ) : (
            <>
              {t.lastBackup}: <Time at={b.last} /> ({b.last_actor})
            </>
          )}
        </p>
      )}
      {b && !b.ready && (
        <>
          <p>{t.backupSet}</p>
          <Copy value="sudo gatehouse backup set" label={t.backupSetLabel} />
        </>
      )}
      <Trouble error={action.error} />
      {b?.ready && may(session, "admin") && (
        <div class="row">
          <button disabled={action.busy} onClick={make}>
            {t.makeBackup}
          </button>
          {action.busy && <Spinner />}
        </div>
      )}
    </section>
  );
}

export function Backup({ session }: { session: Session }) {
  const action = useAction();
  const save = () =>
    action.run(async () => {
      const state = await get<unknown>("/state");
      download("gatehouse-state.json", JSON.stringify(state, null, 2) + "\n", "application/json");
    });
  return (
    <div class="stack">
      <section class="card stack" aria-label={t.export}>
        <h2>{t.export}</h2>
        <p class="muted">{t.exportHint}</p>
        <Trouble error={action.error} />
        <div class="row">
          <button disabled={action.busy} onClick={save}>
            {t.download}
          </button>
        </div>
      </section>
      <ApplyState session={session} />
      <BackupCard session={session} />
      <section class="card stack" aria-label={t.restore}>
        <h2>{t.restore}</h2>
        <p>{t.restoreHint}</p>
        <Copy
          value={
            "sudo systemctl stop gatehouse\nsudo gatehouse ca restore FILE\nsudo systemctl start gatehouse"
          }
          label={t.restore}
        />
      </section>
    </div>
  );
}
