// SPDX-License-Identifier: Apache-2.0
// What several pages share: tabs in the address, lists with further pages, questions before a change.
import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { get, type Arguments, type Page } from "../api";
import { setQuery, type Place } from "../router";
import { text } from "../text";
import { arrows, Dialog, Empty, Link, Spinner, Table, Trouble, useAction, useLoad, type Column } from "./kit";

export interface Tab {
  id: string;
  title: string;
}

/** The tab of the address ("?tab="), the first one without. */
export function tabOf(place: Place, tabs: Tab[]): string {
  const wanted = place.query.get("tab");
  return tabs.find((x) => x.id === wanted)?.id ?? tabs[0]?.id ?? "";
}

export function Tabs({ place, tabs, label }: { place: Place; tabs: Tab[]; label: string }) {
  const now = tabOf(place, tabs);
  const ref = useRef<HTMLElement>(null);
  useEffect(() => {
    // on a phone they do not all fit
    ref.current?.querySelector("[aria-current]")?.scrollIntoView({ block: "nearest", inline: "nearest" });
  }, [now]);
  return (
    <nav ref={ref} class="tabs" aria-label={label} onKeyDown={arrows}>
      {tabs.map((x, i) => (
        <Link
          key={x.id}
          href={i === 0 ? place.path : `${place.path}?tab=${x.id}`}
          aria-current={x.id === now ? "page" : undefined}
        >
          {x.title}
        </Link>
      ))}
    </nav>
  );
}

export interface Pages<T> {
  rows: T[];
  loading: boolean;
  /** There was an answer, though it may be being asked for anew. */
  loaded: boolean;
  /** How many there are, where the answer says so; null: more than it counts. */
  total: number | null | undefined;
  reload: () => void;
  /** What stands below the rows: trouble, a spinner, the way to more. */
  foot: ComponentChildren;
}

/** The first page of a list, and of which list. */
interface Head<T> {
  key: string;
  page: Page<T>;
}

/** What came behind a first page, and where it goes on. */
interface Tail<T> {
  of: Head<T> | undefined;
  items: T[];
  next: string | null;
}

/** A list of the API page by page, anew whenever its arguments change. What it had stays visible until the new
 * first page is there; it does not grow meanwhile, since its cursor means nothing to the new one. */
export function usePages<T>(path: string, args: Arguments): Pages<T> {
  const key = JSON.stringify([path, args]);
  const first = useLoad<Head<T>>(
    async (signal) => ({ key, page: await get<Page<T>>(path, args, signal) }),
    [key],
  );
  const head = first.data;
  const [kept, keep] = useState<Tail<T>>();
  const tail: Tail<T> =
    kept && kept.of === head ? kept : { of: head, items: [], next: head?.page.next ?? null };
  const action = useAction();
  const waiting = useRef<AbortController>();
  useEffect(() => () => waiting.current?.abort(), [head]); // a page that comes late belongs to another list
  const load = () => {
    if (head?.key !== key) return;
    action.run(async () => {
      const abort = new AbortController();
      waiting.current = abort;
      try {
        const page = await get<Page<T>>(path, { ...args, after: tail.next }, abort.signal);
        if (!abort.signal.aborted) keep({ of: head, items: [...tail.items, ...page.items], next: page.next });
      } catch (e) {
        if (!abort.signal.aborted) throw e;
      }
    });
  };
  const rows = [...(head?.page.items ?? []), ...tail.items];
  const total = head?.page.total;
  const foot = (
    <>
      <Trouble error={first.error} retry={first.reload} />
      <Trouble error={action.error} retry={load} />
      {first.loading && !head && <Spinner />}
      {tail.next !== null && (
        <div class="row">
          {/* not disabled meanwhile: it would lose the focus; an action runs only once at a time anyhow */}
          <button onClick={load}>{text.more}</button>
          <span class="small muted">{text.shown(rows.length, total)}</span>
        </div>
      )}
    </>
  );
  return {
    rows,
    loading: first.loading,
    loaded: head !== undefined,
    total,
    reload: first.reload,
    foot,
  };
}

/** What narrows a list, one field each: the parameter of the address and what it is called. */
export function Filters({ place, filters }: { place: Place; filters: [string, string][] }) {
  return (
    <form class="row" role="search" onSubmit={(e) => e.preventDefault()}>
      {filters.map(([key, title]) => (
        <label key={key} class="grow">
          <span class="visually-hidden">{title}</span>
          <input
            placeholder={title}
            value={place.query.get(key) ?? ""}
            onChange={(e) => setQuery({ [key]: e.currentTarget.value.trim() })}
          />
        </label>
      ))}
    </form>
  );
}

/** The rows of a list, what to say where there are none, and the way to more. */
export function Listing<T>(props: {
  label: string;
  list: Pages<T>;
  columns: Column<T>[];
  name: (row: T) => string | number;
  empty?: string;
  hint?: string;
}) {
  const { rows, loading, foot } = props.list;
  return (
    <>
      {rows.length > 0 && <Table label={props.label} columns={props.columns} rows={rows} name={props.name} />}
      {props.empty !== undefined && !loading && rows.length === 0 && (
        <div class="card">
          <Empty title={props.empty}>{props.hint}</Empty>
        </div>
      )}
      {foot}
    </>
  );
}

/** In the place of what the viewer's level does not allow. */
export function Forbidden({ level }: { level: string }) {
  return (
    <div class="card">
      <Empty title={text.forbidden.title}>{text.forbidden.hint(level)}</Empty>
    </div>
  );
}

/** Asks before something that cannot be undone. */
export function Confirm(props: {
  title: string;
  hint: string;
  word: string;
  run: () => Promise<void>;
  close: () => void;
}) {
  const action = useAction();
  const go = () =>
    action.run(async () => {
      await props.run();
      props.close();
    });
  return (
    <Dialog title={props.title} close={props.close}>
      <p>{props.hint}</p>
      <Trouble error={action.error} />
      <div class="row">
        <button class="danger" disabled={action.busy} onClick={go}>
          {props.word}
        </button>
        <button onClick={props.close}>{text.cancel}</button>
      </div>
    </Dialog>
  );
}

const TYPED_MS = 250;

/** A field of a filter: what is typed counts a moment later, without Enter. set must not depend on when it is called. */
export function Typed(props: {
  label: string;
  value: string;
  set: (value: string) => void;
  type?: "search";
}) {
  const { label, value, set } = props;
  const [typed, setTyped] = useState(value);
  useEffect(() => {
    if (typed.trim() !== value) setTyped(value);
  }, [value]);
  useEffect(() => {
    const wanted = typed.trim();
    if (wanted === value) return;
    const timer = setTimeout(() => set(wanted), TYPED_MS);
    return () => clearTimeout(timer);
  }, [typed]);
  return (
    <label class="grow">
      <span class="visually-hidden">{label}</span>
      <input
        type={props.type ?? "text"}
        placeholder={label}
        value={typed}
        onInput={(e) => setTyped(e.currentTarget.value)}
      />
    </label>
  );
}

/** Saves a text, or what came as a file, as a file. */
export function download(name: string, content: string | Blob, type = "text/plain"): void {
  const url = URL.createObjectURL(typeof content === "string" ? new Blob([content], { type }) : content);
  const a = document.createElement("a");
  a.href = url;
  a.download = name;
  a.click();
  setTimeout(() => URL.revokeObjectURL(url), 1000);
}
