// SPDX-License-Identifier: Apache-2.0
// The rules as a table that is worked on: rows are added, changed, moved and removed, nothing holds before it is
// applied, and below stands what would be decided otherwise. What was applied can be undone.
import { useEffect, useRef, useState } from "preact/hooks";
import { get, post, type Page } from "../api";
import { count } from "../format";
import { setQuery, type Place } from "../router";
import {
  ACTIONS,
  type Cells,
  changeOf,
  type DraftRow,
  EMPTY,
  type Field as CellName,
  inOrder,
  lineOf,
  linesOf,
  moved,
  placed,
  rowOf,
  undoLines,
  wrongIn,
} from "../draft";
import { text } from "../text";
import type { Answers, Device, Role, Row, Rule } from "../types";
import {
  Alert,
  Badge,
  type Column,
  Empty,
  explain,
  Link,
  Spinner,
  Table,
  Time,
  Trouble,
  useAction,
  useLoad,
} from "../ui/kit";
import { toast } from "../ui/toast";

const t = text.access;
const PREVIEW_MS = 700;

/** The rows that differ from what is saved. They outlive the page: whoever looks something up elsewhere finds them
 * again. */
export type Draft = readonly DraftRow[];
let kept: Draft = [];

export function useDraft(): [Draft, (d: Draft) => void] {
  const [draft, set] = useState(kept);
  return [
    draft,
    (d) => {
      kept = d.filter((r) => changeOf(r) !== "" || !r.saved);
      set(kept);
    },
  ];
}

type Preview = Answers["acl.preview"];
type Flip = Row<"acl.preview">;
type Verdict = Answers["acl.check"]["verdict"];

export const tone = (v: Verdict) => (v === "allowed" ? "good" : v === "denied" ? "bad" : "warn");

const flipColumns: Column<Flip>[] = [
  {
    title: t.device,
    cell: (f) => <Link href={`/devices/${encodeURIComponent(f.device)}`}>{f.device}</Link>,
  },
  { title: t.action, cell: (f) => f.action },
  { title: t.filter, cell: (f) => <code>{f.topic}</code> },
  { title: t.before, cell: (f) => <Badge tone={tone(f.before)}>{f.before}</Badge> },
  { title: t.after, cell: (f) => <Badge tone={tone(f.after)}>{f.after}</Badge> },
  { title: t.times, number: true, cell: (f) => count(f.times) },
];

function Effect({ lines, ready }: { lines: string[]; ready: boolean }) {
  const [preview, set] = useState<Preview>();
  const [error, setError] = useState<unknown>();
  const key = lines.join("\n");
  useEffect(() => {
    if (!ready) return;
    let live = true;
    const timer = setTimeout(() => {
      post<Preview>("/acl/preview", { with: lines })
        .then((p) => {
          if (!live) return;
          set(p);
          setError(undefined);
        })
        .catch((e: unknown) => live && setError(e));
    }, PREVIEW_MS);
    return () => {
      live = false;
      clearTimeout(timer);
    };
  }, [key, ready]);
  const devices = [...new Set((preview?.items ?? []).map((f) => f.device))];
  return (
    <div class="stack" role="group" aria-label={t.preview}>
      <h3>{t.preview}</h3>
      {!ready && <p class="muted">{t.notReady}</p>}
      {ready && error !== undefined && <p class="muted">{explain(error)}</p>}
      {ready && error === undefined && !preview && <Spinner />}
      {ready && error === undefined && preview && (
        <div class="stack" aria-live="polite">
          <p>{t.checked(count(preview.checked), count(preview.items.length), devices.length)}</p>
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
      )}
      <p class="small muted">{t.previewHint}</p>
    </div>
  );
}

function Cell(props: {
  name: string;
  value: string;
  set: (v: string) => void;
  wrong?: string;
  mono?: boolean;
  list?: string;
  type?: string;
  autofocus?: boolean;
}) {
  const ref = useRef<HTMLInputElement>(null);
  useEffect(() => {
    if (props.autofocus) ref.current?.focus();
  }, []);
  return (
    <span class="cell">
      <input
        ref={ref}
        class={props.mono ? "mono" : undefined}
        aria-label={props.name}
        aria-invalid={props.wrong ? "true" : undefined}
        title={props.wrong}
        type={props.type ?? "text"}
        list={props.list}
        value={props.value}
        spellcheck={false}
        autocomplete="off"
        onInput={(e) => props.set(e.currentTarget.value)}
      />
      {props.wrong && <span class="wrong small">{props.wrong}</span>}
    </span>
  );
}

function Choice(props: {
  name: string;
  value: string;
  set: (v: string) => void;
  options: [string, string][];
}) {
  const known = props.options.some(([v]) => v === props.value);
  return (
    <select aria-label={props.name} value={props.value} onChange={(e) => props.set(e.currentTarget.value)}>
      {!known && <option value={props.value}>{props.value}</option>}
      {props.options.map(([v, said]) => (
        <option key={v} value={v}>
          {said}
        </option>
      ))}
    </select>
  );
}

const effects: [string, string][] = [
  ["allow", "allow"],
  ["deny", "deny"],
];
const actions: [string, string][] = [
  ...ACTIONS.map((a): [string, string] => [a, t.actions[a]]),
  ["all", t.actions.all],
];
const retains: [string, string][] = [
  ["", t.retains.any],
  ["yes", t.retains.yes],
  ["no", t.retains.no],
];

interface RowProps {
  row: DraftRow;
  editing: boolean;
  operator: boolean;
  said: string;
  set: (cells: Partial<Cells>) => void;
  edit: (on: boolean) => void;
  move: (step: -1 | 1) => void;
  remove: () => void;
  back: () => void;
}

function Conditions({ cells, rule }: { cells: Cells; rule: Rule | undefined }) {
  if (rule?.learn_until)
    return (
      <div>
        <Badge tone="warn">
          {t.learnUntil} <Time at={rule.learn_until} exact />
        </Badge>
      </div>
    );
  const parts = [
    cells.literal ? t.literal : "",
    cells.qos ? `QoS ${cells.qos}` : "",
    cells.retain ? t.retains[cells.retain] : "",
    cells.networks ? t.fromNetworks(cells.networks) : "",
  ].filter((s) => s !== "");
  return parts.length > 0 ? <div class="small muted">{`${t.conditions}: ${parts.join(", ")}`}</div> : null;
}

function Shown(p: RowProps) {
  const c = p.row.cells;
  return (
    <>
      <td data-label={t.effect} role="cell">
        <Badge tone={c.effect === "allow" ? "good" : "bad"}>{c.effect}</Badge>
      </td>
      <td data-label={t.subject} role="cell" class="name">
        {c.subject}
      </td>
      <td data-label={t.action} role="cell">
        {c.action === "all" ? t.actions.all : c.action.replaceAll(",", ", ")}
      </td>
      <td data-label={t.filter} role="cell" class="topic">
        <code>{c.filter}</code>
        <Conditions cells={c} rule={p.row.saved} />
      </td>
      <td data-label={t.priority} role="cell" class="number">
        {c.priority}
      </td>
    </>
  );
}

function Edited(p: RowProps) {
  const c = p.row.cells;
  const found = wrongIn(c);
  const wrong = (f: CellName) => {
    const what = found[f];
    // An empty cell of a new row is not told to be wrong before anything was written in the row.
    const fresh = !p.row.saved && c[f] === "" && (f === "subject" || f === "filter");
    return what && !fresh ? { wrong: t.wrong[what] } : {};
  };
  return (
    <>
      <td data-label={t.effect} role="cell">
        <Choice
          name={t.effect}
          value={c.effect}
          set={(v) => p.set({ effect: v as Cells["effect"] })}
          options={effects}
        />
      </td>
      <td data-label={t.subject} role="cell">
        <Cell
          name={t.subject}
          value={c.subject}
          set={(v) => p.set({ subject: v.trim() })}
          list="subjects"
          autofocus
          {...wrong("subject")}
        />
      </td>
      <td data-label={t.action} role="cell">
        <Choice name={t.action} value={c.action} set={(v) => p.set({ action: v })} options={actions} />
      </td>
      <td data-label={t.filter} role="cell">
        <Cell name={t.filter} value={c.filter} set={(v) => p.set({ filter: v })} mono {...wrong("filter")} />
        <details open={c.qos + c.retain + c.networks !== "" || c.literal}>
          <summary>{t.conditionsMore}</summary>
          <div class="stack tight">
            <label>
              <span class="small">{t.qos}</span>
              <Cell name={t.qos} value={c.qos} set={(v) => p.set({ qos: v })} {...wrong("qos")} />
            </label>
            <label>
              <span class="small">{t.retain}</span>
              <Choice
                name={t.retain}
                value={c.retain}
                set={(v) => p.set({ retain: v as Cells["retain"] })}
                options={retains}
              />
            </label>
            <label>
              <span class="small">{t.networks}</span>
              <Cell
                name={t.networks}
                value={c.networks}
                set={(v) => p.set({ networks: v })}
                {...wrong("networks")}
              />
            </label>
            <label class="row small">
              <input
                type="checkbox"
                checked={c.literal}
                onChange={(e) => p.set({ literal: e.currentTarget.checked })}
              />
              {t.literalHint}
            </label>
          </div>
        </details>
      </td>
      <td data-label={t.priority} role="cell" class="number">
        <Cell
          name={t.priority}
          type="number"
          value={c.priority}
          set={(v) => p.set({ priority: v })}
          {...wrong("priority")}
        />
      </td>
    </>
  );
}

const changeTone = { "": "", added: "good", changed: "accent", removed: "bad" } as const;

function RuleRow(p: RowProps) {
  const { row } = p;
  const change = changeOf(row);
  const name = row.saved ? t.ruleNumber(row.saved.id) : t.newRule;
  const keys = (e: KeyboardEvent) => {
    if (!p.operator || row.removed) return;
    if (e.altKey && (e.key === "ArrowUp" || e.key === "ArrowDown")) {
      e.preventDefault();
      p.move(e.key === "ArrowUp" ? -1 : 1);
    }
    const inField = e.target instanceof HTMLInputElement;
    if (p.editing && (e.key === "Escape" || (e.key === "Enter" && inField))) {
      e.preventDefault();
      p.edit(false);
    }
  };
  return (
    <tr role="row" class={change} data-key={row.key} onKeyDown={keys}>
      {p.editing && !row.removed ? <Edited {...p} /> : <Shown {...p} />}
      <td data-label={t.change} role="cell">
        <div class="row">
          {p.operator && row.removed && <button onClick={p.back}>{t.putBack}</button>}
          {p.operator && !row.removed && !row.saved?.learn_until && (
            <>
              <button
                aria-label={`${p.editing ? t.done : t.edit}: ${name}`}
                onClick={() => p.edit(!p.editing)}
              >
                {p.editing ? t.done : t.edit}
              </button>
              <button class="plain" aria-label={`${t.up}: ${name}`} title={t.up} onClick={() => p.move(-1)}>
                ↑
              </button>
              <button
                class="plain"
                aria-label={`${t.down}: ${name}`}
                title={t.down}
                onClick={() => p.move(1)}
              >
                ↓
              </button>
              <button class="danger" aria-label={`${text.remove}: ${name}`} onClick={p.remove}>
                {text.remove}
              </button>
            </>
          )}
          {row.saved?.learn_until && <Link href="/access?tab=learn">{text.learn.show}</Link>}
        </div>
        {change !== "" && <Badge tone={changeTone[change]}>{text.diff[change]}</Badge>}
        {p.said && (
          <p class="wrong small" role="alert">
            {p.said}
          </p>
        )}
      </td>
    </tr>
  );
}

/** Names that a rule can be for. */
function Subjects() {
  const roles = useLoad((signal) => get<Page<Role>>("/roles", {}, signal), []);
  const devices = useLoad((signal) => get<Page<Device>>("/devices", { limit: 200 }, signal), []);
  const groups = [...new Set((devices.data?.items ?? []).flatMap((d) => d.groups))];
  const names = [
    "any",
    ...(roles.data?.items ?? []).map((r) => `role:${r.name}`),
    ...groups.map((g) => `group:${g}`),
    ...(devices.data?.items ?? []).map((d) => `device:${d.name}`),
  ];
  return (
    <datalist id="subjects">
      {names.map((n) => (
        <option key={n} value={n} />
      ))}
    </datalist>
  );
}

let fresh = 0;

/** A row that is under somebody's hands stays where it was until that is done. */
interface Held {
  key: string;
  cells: Cells;
}

const TOP: Cells = { ...EMPTY, priority: "1001" };

export function Rules(props: {
  place: Place;
  operator: boolean;
  draft: Draft;
  setDraft: (d: Draft) => void;
}) {
  const { draft, setDraft, operator } = props;
  const load = useLoad((signal) => get<Page<Rule>>("/acl", {}, signal), []);
  const [held, setHeld] = useState<Held>();
  const [said, setSaid] = useState<{ key: string; message: string }>();
  const [focus, setFocus] = useState("");
  const action = useAction();
  const table = useRef<HTMLDivElement>(null);
  const saved = load.data?.items ?? [];
  const rows = inOrder(
    [
      ...draft.filter((r) => !r.saved),
      ...saved.map((r) => draft.find((d) => d.saved?.id === r.id) ?? rowOf(r)),
    ],
    held,
  );
  const changed = rows.filter((r) => changeOf(r) !== "");
  const search = props.place.query.get("search") ?? "";
  const { lines, keys } = linesOf(rows);
  const open = lines.length > 0;
  const ready = open && changed.every((r) => r.removed || Object.keys(wrongIn(r.cells)).length === 0);
  const change = (next: Draft) => {
    setSaid(undefined);
    setDraft(next);
  };
  const put = (key: string, f: (r: DraftRow) => DraftRow) =>
    change(rows.map((r) => (r.key === key ? f(r) : r)));
  useEffect(() => {
    if (focus === "") return;
    table.current?.querySelector<HTMLElement>(`[data-key="${focus}"] td:last-child button`)?.focus();
    setFocus("");
  }, [focus]);
  const edit = (row: DraftRow, on: boolean) => {
    setHeld(on ? row : undefined);
    if (!on) setFocus(row.key);
  };
  const move = (key: string, step: -1 | 1) => {
    const priority = moved(rows, key, step);
    if (priority === undefined) return;
    const active = document.activeElement?.getAttribute("aria-label");
    setHeld(undefined);
    put(key, (r) => ({ ...r, cells: { ...r.cells, priority } }));
    // the browser takes the focus from a row that it moves
    requestAnimationFrame(() => {
      const again = [
        ...(table.current?.querySelectorAll<HTMLElement>(`[data-key="${key}"] [aria-label]`) ?? []),
      ];
      (again.find((e) => e.getAttribute("aria-label") === active) ?? again[0])?.focus();
    });
  };
  const add = () => {
    const key = `new-${++fresh}`;
    change([{ key, cells: EMPTY, removed: false }, ...rows]);
    setHeld({ key, cells: TOP });
  };
  const discard = () => {
    change([]);
    setHeld(undefined);
    toast(t.discarded, () => setDraft(draft));
  };
  const apply = () =>
    action.run(async () => {
      try {
        const done = await post<Answers["acl.apply"]>("/acl/apply", { with: lines });
        const undo = undoLines(rows, done.added);
        change([]);
        setHeld(undefined);
        load.reload();
        toast(t.saved(done.added.length, done.removed), () => {
          post("/acl/apply", { with: undo })
            .then(() => toast(t.undone))
            .catch((e: unknown) => toast(explain(e)))
            .finally(load.reload);
        });
      } catch (e) {
        const at = placed(explain(e), keys);
        if (!at) throw e;
        setSaid(at);
        setHeld(rows.find((r) => r.key === at.key && !r.removed));
      }
    });
  const shown = rows.filter(
    (r) => r.key === held?.key || lineOf(r.cells).toLowerCase().includes(search.toLowerCase()),
  );
  return (
    <section class="stack" aria-label={t.rules}>
      <div class="row apart">
        <p class="muted grow">{t.order}</p>
        {operator && (
          <button class="primary" onClick={add}>
            {t.add}
          </button>
        )}
      </div>
      <form role="search" onSubmit={(e) => e.preventDefault()}>
        <label>
          <span class="visually-hidden">{t.search}</span>
          <input
            type="search"
            placeholder={t.search}
            value={search}
            onInput={(e) => setQuery({ search: e.currentTarget.value })}
          />
        </label>
      </form>
      {open && (
        <section class="card stack pending" aria-label={t.draft}>
          <div class="row apart">
            <div>
              <h2>{t.pending(changed.length)}</h2>
              <p class="small muted">{t.draftHint}</p>
            </div>
            <div class="row">
              {operator && (
                <button class="primary" disabled={!ready || action.busy} onClick={apply}>
                  {t.apply}
                </button>
              )}
              <button onClick={discard}>{t.discard}</button>
            </div>
          </div>
          <Trouble error={action.error} />
          <Effect lines={lines} ready={ready} />
        </section>
      )}
      <Trouble error={load.error} retry={load.reload} />
      {load.loading && !load.data && <Spinner />}
      {held && <Subjects />}
      {load.data && rows.length === 0 && (
        <div class="card">
          <Empty title={t.noRules}>{t.noRulesHint}</Empty>
        </div>
      )}
      {rows.length > 0 && shown.length === 0 && (
        <div class="card">
          <Empty title={t.noMatch} />
        </div>
      )}
      {shown.length > 0 && (
        <div ref={table} class="table rules" tabIndex={0} role="group" aria-label={t.rules}>
          <table role="table">
            <thead role="rowgroup">
              <tr role="row">
                {[t.effect, t.subject, t.action, t.filter, t.priority, t.change].map((title) => (
                  <th
                    key={title}
                    role="columnheader"
                    scope="col"
                    class={title === t.priority ? "number" : undefined}
                  >
                    {title}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody role="rowgroup">
              {shown.map((r) => (
                <RuleRow
                  key={r.key}
                  row={r}
                  editing={held?.key === r.key}
                  operator={operator}
                  said={said?.key === r.key ? said.message : ""}
                  set={(cells) => put(r.key, (x) => ({ ...x, cells: { ...x.cells, ...cells } }))}
                  edit={(on) => edit(r, on)}
                  move={(step) => move(r.key, step)}
                  remove={() =>
                    r.saved
                      ? put(r.key, (x) => ({ ...x, removed: true }))
                      : change(rows.filter((x) => x.key !== r.key))
                  }
                  back={() => put(r.key, (x) => ({ ...x, removed: false }))}
                />
              ))}
            </tbody>
          </table>
        </div>
      )}
      {operator && <p class="small muted">{t.keys}</p>}
    </section>
  );
}

/** Said where one asks while changes wait. */
export function Waiting({ draft }: { draft: Draft }) {
  return (
    <Alert tone="warn">
      {t.withPending(draft.length)} <Link href="/access">{t.toDraft}</Link>
    </Alert>
  );
}
