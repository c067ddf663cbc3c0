// SPDX-License-Identifier: Apache-2.0
// The pieces that every page is made of.
import type {
  AnchorHTMLAttributes,
  ComponentChildren,
  TargetedKeyboardEvent,
  TargetedMouseEvent,
} from "preact";
import { useEffect, useId, useRef, useState } from "preact/hooks";
import { Problem } from "../api";
import { ago, time } from "../format";
import { navigate } from "../router";
import { text } from "../text";

/** What went wrong, in a sentence. */
export function explain(e: unknown): string {
  if (e instanceof Problem) return e.status === 0 ? text.unreachable : e.message;
  return e instanceof Error ? e.message : String(e);
}

/** The sentence when the error is about this field, else nothing. */
export function wrong(e: unknown, field: string): string {
  return e instanceof Problem && e.field === field ? e.message : "";
}

export interface Loaded<T> {
  data: T | undefined;
  error: unknown;
  loading: boolean;
  reload: () => void;
}

/** Loads at first and whenever deps change; what came before stays visible meanwhile. */
export function useLoad<T>(load: (signal: AbortSignal) => Promise<T>, deps: readonly unknown[]): Loaded<T> {
  const [state, set] = useState<{ data: T | undefined; error: unknown; loading: boolean }>({
    data: undefined,
    error: undefined,
    loading: true,
  });
  const [round, again] = useState(0);
  useEffect(() => {
    const abort = new AbortController();
    set((s) => ({ ...s, loading: true }));
    load(abort.signal)
      .then((data) => {
        if (!abort.signal.aborted) set({ data, error: undefined, loading: false });
      })
      .catch((error: unknown) => {
        if (!abort.signal.aborted) set((s) => ({ ...s, error, loading: false }));
      });
    return () => abort.abort();
  }, [...deps, round]);
  return { ...state, reload: () => again((n) => n + 1) };
}

export interface Action {
  busy: boolean;
  error: unknown;
  run: (f: () => Promise<void>) => void;
}

/** Runs one action at a time; its error is kept until the next. */
export function useAction(): Action {
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>();
  const running = useRef(false);
  const run = (f: () => Promise<void>) => {
    if (running.current) return;
    running.current = true;
    setBusy(true);
    setError(undefined);
    f()
      .catch((e: unknown) => setError(e))
      .finally(() => {
        running.current = false;
        setBusy(false);
      });
  };
  return { busy, error, run };
}

export function Link(props: AnchorHTMLAttributes & { href: string }) {
  const go = (e: TargetedMouseEvent<HTMLAnchorElement>) => {
    if (e.defaultPrevented || e.button !== 0 || e.metaKey || e.ctrlKey || e.shiftKey || e.altKey) return;
    e.preventDefault();
    navigate(props.href);
  };
  return <a {...props} onClick={go} />;
}

/** The arrow keys go from link to link of a menu, Home and End to its ends. Tab does as well. */
export function arrows(e: TargetedKeyboardEvent<HTMLElement>): void {
  const links = [...e.currentTarget.querySelectorAll<HTMLElement>("a[href]")];
  const at = links.findIndex((l) => l === document.activeElement);
  const to: Record<string, number> = {
    ArrowRight: at + 1,
    ArrowDown: at + 1,
    ArrowLeft: at - 1,
    ArrowUp: at - 1,
    Home: 0,
    End: links.length - 1,
  };
  const next = to[e.key];
  if (next === undefined || at < 0 || e.altKey || e.ctrlKey || e.metaKey) return;
  e.preventDefault();
  links[Math.min(Math.max(next, 0), links.length - 1)]?.focus();
}

export type Tone = "good" | "warn" | "bad" | "accent" | "";

export function Badge({ tone = "", children }: { tone?: Tone; children: ComponentChildren }) {
  return <span class={`badge ${tone}`}>{children}</span>;
}

export function Alert({ tone = "", children }: { tone?: Tone; children: ComponentChildren }) {
  return (
    <div class={`alert ${tone}`} role={tone === "bad" ? "alert" : "status"}>
      {children}
    </div>
  );
}

/** An error with a way to try again; nothing without one. */
export function Trouble({ error, retry }: { error: unknown; retry?: () => void }) {
  if (error === undefined) return null;
  return (
    <Alert tone="bad">
      <div class="row apart">
        <span>{explain(error)}</span>
        {retry && <button onClick={retry}>{text.retry}</button>}
      </div>
    </Alert>
  );
}

export function Spinner() {
  return (
    <span role="status">
      <span class="spinner" aria-hidden="true" /> <span class="visually-hidden">{text.loading}</span>
    </span>
  );
}

/** What to say, and to do, where there is nothing yet. */
export function Empty({ title, children }: { title: string; children?: ComponentChildren }) {
  return (
    <div class="empty">
      <strong>{title}</strong>
      {children}
    </div>
  );
}

/** A time as people say it, with the exact one in the viewer's zone and in UTC on hover. */
export function Time({ at, exact = false }: { at: string | null | undefined; exact?: boolean }) {
  if (!at) return <span class="muted">{text.never}</span>;
  return (
    <time dateTime={at} title={`${time(at)} (${at})`} class="nowrap">
      {exact ? time(at) : ago(at)}
    </time>
  );
}

interface FieldProps {
  label: string;
  hint?: string;
  /** What is wrong with it, or "". */
  error?: string;
  children: (attributes: {
    id: string;
    "aria-describedby"?: string;
    "aria-invalid"?: "true";
  }) => ComponentChildren;
}

/** A label with its control, a hint and what is wrong; the control gets what links them. */
export function Field({ label, hint, error, children }: FieldProps) {
  const id = useId();
  const notes = [hint ? `${id}-hint` : "", error ? `${id}-wrong` : ""].filter((s) => s).join(" ");
  return (
    <div class="field">
      <label for={id}>{label}</label>
      {children({
        id,
        ...(notes ? { "aria-describedby": notes } : {}),
        ...(error ? { "aria-invalid": "true" as const } : {}),
      })}
      {hint && (
        <span class="hint" id={`${id}-hint`}>
          {hint}
        </span>
      )}
      {error && (
        <span class="wrong" id={`${id}-wrong`}>
          {error}
        </span>
      )}
    </div>
  );
}

type InputProps = Omit<FieldProps, "children"> & {
  value: string;
  set: (value: string) => void;
  type?: string;
  autocomplete?: string;
  required?: boolean;
  maxLength?: number;
  placeholder?: string;
  autofocus?: boolean;
};

export function Input({ value, set, label, hint, error, type = "text", autofocus, ...rest }: InputProps) {
  const ref = useRef<HTMLInputElement>(null);
  useEffect(() => {
    if (autofocus) ref.current?.focus();
  }, []);
  return (
    <Field label={label} {...(hint ? { hint } : {})} {...(error ? { error } : {})}>
      {(a) => (
        <input
          ref={ref}
          {...a}
          {...rest}
          type={type}
          value={value}
          onInput={(e) => set(e.currentTarget.value)}
        />
      )}
    </Field>
  );
}

/** Fields and the button that sends them. What went wrong stands above the button, unless one of the named fields
 * says it already. */
export function Form(props: {
  action: Action;
  run: () => Promise<void>;
  fields?: string[];
  word: string;
  danger?: boolean;
  /** Beside the button. */
  more?: ComponentChildren;
  children: ComponentChildren;
}) {
  const { busy, error, run } = props.action;
  const submit = (e: Event) => {
    e.preventDefault();
    run(props.run);
  };
  return (
    <form class="form" onSubmit={submit}>
      {props.children}
      {!props.fields?.some((f) => wrong(error, f) !== "") && <Trouble error={error} />}
      <div class="row">
        <button class={props.danger ? "danger" : "primary"} disabled={busy}>
          {props.word}
        </button>
        {props.more}
      </div>
    </form>
  );
}

/** Names between commas or blanks. */
export function words(s: string): string[] {
  return s.split(/[\s,]+/).filter((w) => w !== "");
}

/** Text that is there to be copied. */
export function Copy({ value, label }: { value: string; label?: string }) {
  const [done, set] = useState(false);
  const copy = () => {
    void navigator.clipboard.writeText(value).then(() => {
      set(true);
      setTimeout(() => set(false), 2000);
    });
  };
  return (
    <div class="copy">
      <pre tabIndex={0} aria-label={label}>
        {value}
      </pre>
      <button onClick={copy}>{done ? text.copied : text.copy}</button>
    </div>
  );
}

/** A dialog that keeps the keyboard inside, and closes with Escape. The keyboard begins in its first field, and goes
 * back to where it was. */
export function Dialog(props: {
  title: string;
  close: () => void;
  wide?: boolean;
  children: ComponentChildren;
}) {
  const ref = useRef<HTMLDialogElement>(null);
  const id = useId();
  useEffect(() => {
    const before = document.activeElement;
    ref.current?.showModal();
    ref.current?.querySelector<HTMLElement>(":is(input, select, textarea):not([disabled])")?.focus();
    return () => {
      // Only when the dialog is gone, which keeps the rest inert. What opened it may be gone as well: then the page
      // itself, so that the next Tab is not the first of all.
      queueMicrotask(() => {
        const opener = before instanceof HTMLElement && before.isConnected ? before : undefined;
        (opener ?? document.getElementById("content"))?.focus({ preventScroll: true });
      });
    };
  }, []);
  return (
    <dialog ref={ref} class={props.wide ? "wide" : undefined} aria-labelledby={id} onClose={props.close}>
      <div class="stack">
        <div class="row apart">
          <h2 id={id}>{props.title}</h2>
          <button class="plain" onClick={() => ref.current?.close()}>
            {text.close}
          </button>
        </div>
        {props.children}
      </div>
    </dialog>
  );
}

export interface Column<T> {
  title: string;
  /** In the place of the title, where that is not for the eye. */
  head?: ComponentChildren;
  cell: (row: T) => ComponentChildren;
  number?: boolean;
  /** The name by which the list is ordered; "-name" is the other way. */
  sort?: string;
}

/** A table of rows; the heads of columns that can be ordered are buttons. */
export function Table<T>(props: {
  label: string;
  columns: Column<T>[];
  rows: T[];
  name: (row: T) => string | number;
  sort?: string;
  onSort?: (sort: string) => void;
}) {
  return (
    <div class="table" tabIndex={0} role="group" aria-label={props.label}>
      {/* The roles are said: on a phone the rows are laid out as cards, and browsers then forget them. */}
      <table role="table">
        <thead role="rowgroup">
          <tr role="row">
            {props.columns.map((c) => {
              const up = c.sort !== undefined && props.sort === c.sort;
              const down = c.sort !== undefined && props.sort === `-${c.sort}`;
              return (
                <th
                  key={c.title}
                  role="columnheader"
                  scope="col"
                  class={c.number ? "number" : undefined}
                  aria-sort={up ? "ascending" : down ? "descending" : undefined}
                >
                  {c.sort !== undefined && props.onSort ? (
                    <button onClick={() => props.onSort?.(up ? `-${c.sort ?? ""}` : (c.sort ?? ""))}>
                      {c.title} {up ? "▲" : down ? "▼" : ""}
                    </button>
                  ) : (
                    (c.head ?? c.title)
                  )}
                </th>
              );
            })}
          </tr>
        </thead>
        <tbody role="rowgroup">
          {props.rows.map((row) => (
            <tr role="row" key={props.name(row)}>
              {props.columns.map((c) => (
                <td
                  role="cell"
                  key={c.title}
                  data-label={c.head === undefined ? c.title : undefined}
                  class={c.number ? "number" : undefined}
                >
                  {c.cell(row)}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
