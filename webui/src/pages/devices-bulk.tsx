// SPDX-License-Identifier: Apache-2.0
// Rows of the list of devices that are chosen, what is done with all of them, and the list as a file.
import { useRef, useState } from "preact/hooks";
import { del, get, patch, post, Problem, segment, type Arguments, type Page } from "../api";
import { forEach, shownOnly } from "../bulk";
import { writeCsv } from "../csv";
import { may, type Session } from "../session";
import { text } from "../text";
import type { Answers, Client, Device, Revision } from "../types";
import { Alert, type Column, Dialog, explain, Form, Input, useAction, words, wrong } from "../ui/kit";
import { Confirm, download } from "../ui/pages";
import { Progress } from "../ui/progress";
import { toast } from "../ui/toast";

const t = text.bulk;
const AT_ONCE = 3;
const PAGE = 1000;

const path = (name: string) => `/devices/${segment(name)}`;

// ---- choosing ----

export interface Selection {
  names: ReadonlySet<string>;
  set: (names: ReadonlySet<string>) => void;
}

/** Only what is shown is chosen: what a filter hides must not be changed or removed unseen. */
export function useSelection(rows: readonly Device[]): Selection {
  const [ticked, set] = useState<ReadonlySet<string>>(new Set());
  return { names: new Set(rows.map((d) => d.name).filter((name) => ticked.has(name))), set };
}

/** The column with which rows are chosen; those of its head are the ones that are shown. */
export function selectColumn(s: Selection, rows: readonly Device[]): Column<Device> {
  const all = rows.length > 0 && rows.every((d) => s.names.has(d.name));
  const some = !all && rows.some((d) => s.names.has(d.name));
  const toggle = (names: string[], on: boolean) => {
    const next = new Set(s.names);
    for (const name of names)
      if (on) next.add(name);
      else next.delete(name);
    s.set(next);
  };
  return {
    title: t.selectAll,
    head: (
      <input
        type="checkbox"
        aria-label={t.selectAll}
        checked={all}
        ref={(e) => {
          if (e) e.indeterminate = some;
        }}
        onChange={(e) =>
          toggle(
            rows.map((d) => d.name),
            e.currentTarget.checked,
          )
        }
      />
    ),
    cell: (d) => (
      <input
        type="checkbox"
        aria-label={t.select(d.name)}
        checked={s.names.has(d.name)}
        onChange={(e) => toggle([d.name], e.currentTarget.checked)}
      />
    ),
  };
}

// ---- the list as a file ----

function csvOf(devices: readonly Device[]): string {
  const rows = devices.map((d) => [
    d.name,
    d.kind,
    d.groups.join(" "),
    d.roles.join(" "),
    d.note,
    d.enabled,
    d.connection_count > 0,
    d.last_seen,
    d.password,
    d.certificate_count,
    d.certificate_end,
    d.created,
  ]);
  return writeCsv(["name", "kind", "groups", "roles", "note", ...shownOnly], rows);
}

/** Saves every device that the list's filters let through, in its order. */
export function SaveList({ filter }: { filter: Arguments }) {
  const action = useAction();
  const save = () =>
    action.run(async () => {
      const all: Device[] = [];
      for (let after: string | null = ""; after !== null; ) {
        const page: Page<Device> = await get<Page<Device>>("/devices", {
          ...filter,
          count: false,
          after,
          limit: PAGE,
        });
        all.push(...page.items);
        after = page.next;
      }
      download("devices.csv", csvOf(all), "text/csv");
    });
  return (
    <>
      <button type="button" onClick={save} aria-busy={action.busy}>
        {t.save}
      </button>
      {action.error !== undefined && <Alert tone="bad">{explain(action.error)}</Alert>}
    </>
  );
}

// ---- doing ----

type Kind = keyof typeof t.done;

/** Does it for one device: the number of the revision that undoes it, or nothing where nothing was to do. */
type Step = (name: string) => Promise<number | undefined>;

const show = (name: string) => get<Answers["device.show"]>(path(name));

/** The change that was just made, unless somebody else has made another one since. */
async function revisionOf(name: string, operation: string): Promise<number | undefined> {
  const { items } = await get<Page<Revision>>("/revisions", { kind: "device", object: name, limit: 1 });
  return items[0]?.operation === operation ? items[0].id : undefined;
}

/** What has the version that was looked at is changed; what somebody else changed meanwhile is told, not undone. */
async function change(
  name: string,
  values: (d: Device) => Arguments | undefined,
): Promise<number | undefined> {
  const device = await show(name);
  const args = values(device);
  if (!args) return undefined;
  await patch(path(name), { ...args, version: device.version });
  return revisionOf(name, "device.set");
}

const switchTo =
  (enabled: boolean): Step =>
  (name) =>
    change(name, (d) => (d.enabled === enabled ? undefined : { enabled }));

async function kick(name: string): Promise<undefined> {
  const { items } = await get<Page<Client>>("/clients", { device: name, limit: PAGE });
  for (const c of items)
    await del(`/clients/${segment(c.client_id)}`).catch((e: unknown) => {
      if (!(e instanceof Problem) || e.status !== 404) throw e; // it has gone by itself
    });
}

async function remove(name: string): Promise<number | undefined> {
  await del(path(name));
  return revisionOf(name, "device.remove");
}

interface Members {
  join: string[];
  leave: string[];
  give: string[];
  take: string[];
}

const without = (list: string[], gone: string[], more: string[]) => [
  ...new Set([...list.filter((x) => !gone.includes(x)), ...more]),
];
const same = (a: string[], b: string[]) => a.length === b.length && a.every((x) => b.includes(x));

const membersTo =
  (m: Members): Step =>
  (name) =>
    change(name, (d) => {
      const groups = without(d.groups, m.leave, m.join);
      const roles = without(d.roles, m.take, m.give);
      return same(groups, d.groups) && same(roles, d.roles) ? undefined : { groups, roles };
    });

/** The last change first: then each finds what it left. */
async function undo(revisions: number[]): Promise<void> {
  let done = 0;
  let failure = "";
  for (const id of [...revisions].sort((a, b) => b - a))
    try {
      await post(`/revisions/${segment(id)}/revert`);
      done++;
    } catch (e) {
      failure = failure || explain(e);
    }
  toast(failure ? `${t.done.undone(done)} ${failure}` : t.done.undone(done));
}

interface Job {
  all: number;
  done: number;
}

function useJob(reload: () => void) {
  const [job, set] = useState<Job>();
  const [trouble, setTrouble] = useState("");
  const stopped = useRef(false);
  const run = async (kind: Kind, names: string[], step: Step): Promise<string[]> => {
    const revisions: number[] = [];
    const failed: { name: string; why: string }[] = [];
    const finished: string[] = [];
    stopped.current = false;
    setTrouble("");
    set({ all: names.length, done: 0 });
    await forEach(
      names,
      AT_ONCE,
      () => stopped.current,
      async (name) => {
        try {
          const revision = await step(name);
          if (revision !== undefined) revisions.push(revision);
          finished.push(name);
        } catch (e) {
          failed.push({ name, why: explain(e) });
        }
        set((j) => j && { ...j, done: j.done + 1 });
      },
    );
    set(undefined);
    const [first] = failed;
    if (first) setTrouble(t.some(failed.length, first.name, first.why));
    if (finished.length > 0)
      toast(
        t.done[kind](finished.length),
        revisions.length > 0 ? () => void undo(revisions).finally(reload) : undefined,
      );
    reload();
    return finished;
  };
  return { job, trouble, run, stop: () => void (stopped.current = true) };
}

function MembersDialog(props: { n: number; run: (m: Members) => void; close: () => void }) {
  const [join, setJoin] = useState("");
  const [leave, setLeave] = useState("");
  const [give, setGive] = useState("");
  const [take, setTake] = useState("");
  const action = useAction();
  const go = async () => {
    const roles = await get<Page<{ name: string }>>("/roles");
    const unknown = words(give).find((x) => !roles.items.some((r) => r.name === x));
    if (unknown !== undefined) throw new Problem(400, t.wrong.noRole(unknown), "roles");
    props.run({ join: words(join), leave: words(leave), give: words(give), take: words(take) });
    props.close();
  };
  return (
    <Dialog title={t.membersTitle(props.n)} close={props.close}>
      <Form action={action} run={go} fields={["roles"]} word={t.apply}>
        <Input label={t.join} hint={text.device.list} value={join} set={setJoin} />
        <Input label={t.leave} value={leave} set={setLeave} />
        <Input label={t.give} value={give} set={setGive} error={wrong(action.error, "roles")} />
        <Input label={t.take} value={take} set={setTake} />
      </Form>
    </Dialog>
  );
}

/** What can be done with the chosen ones; nothing while there are none. */
export function BulkBar(props: {
  selection: Selection;
  rows: readonly Device[];
  session: Session;
  reload: () => void;
}) {
  const { selection, rows, session } = props;
  const [asks, setAsks] = useState<"members" | "remove">();
  const work = useJob(props.reload);
  const names = [...selection.names];
  const run = (kind: Kind, step: Step) => void work.run(kind, names, step);
  const clear = () => selection.set(new Set());
  if (names.length === 0 && !work.job && !work.trouble) return null;
  const chosen = rows.filter((d) => selection.names.has(d.name));
  return (
    <section class="card stack" aria-label={t.actions}>
      {work.job ? (
        <>
          <Progress done={work.job.done} all={work.job.all} label={t.actions} />
          <div class="row">
            <button onClick={work.stop}>{t.stop}</button>
          </div>
        </>
      ) : (
        <div class="row">
          <strong>{t.selected(names.length)}</strong>
          {may(session, "operator") && names.length > 0 && (
            <>
              <button onClick={() => run("enable", switchTo(true))}>{t.enable}</button>
              <button onClick={() => run("disable", switchTo(false))}>{t.disable}</button>
              <button onClick={() => setAsks("members")}>{t.members}</button>
              <button onClick={() => run("kick", kick)}>{t.kick}</button>
              <button class="danger" onClick={() => setAsks("remove")}>
                {t.remove}
              </button>
            </>
          )}
          <button onClick={() => download("devices.csv", csvOf(chosen), "text/csv")}>{t.save}</button>
          <button onClick={clear}>{t.clear}</button>
        </div>
      )}
      {work.trouble && <Alert tone="bad">{work.trouble}</Alert>}
      {asks === "members" && (
        <MembersDialog
          n={names.length}
          run={(m) => run("members", membersTo(m))}
          close={() => setAsks(undefined)}
        />
      )}
      {asks === "remove" && (
        <Confirm
          title={t.removeTitle(names.length)}
          hint={`${t.removeNames(names)} ${t.removeHint}`}
          word={text.remove}
          run={() => {
            void work.run("remove", names, remove).then((gone) => {
              const left = new Set(selection.names);
              for (const name of gone) left.delete(name);
              selection.set(left);
            });
            return Promise.resolve();
          }}
          close={() => setAsks(undefined)}
        />
      )}
    </section>
  );
}
