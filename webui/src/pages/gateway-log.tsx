// SPDX-License-Identifier: Apache-2.0
// The newest lines of the log of every process, as they come.
import { useEffect, useRef, useState } from "preact/hooks";
import type { PageProps } from "../app";
import { watch } from "../api";
import { time } from "../format";
import { setQuery } from "../router";
import { text } from "../text";
import type { Answers, Row } from "../types";
import { Copy, Empty, Trouble } from "../ui/kit";
import { download } from "../ui/pages";

const t = text.log;
const KEPT = 1000;
const FIRST = 200;
const AGAIN_MS = 2000;
const levels = ["error", "warning", "notice", "info"];
const processes = ["parent", "broker", "admin", "enrol", "ctl", "store", "vault"];

type Line = Row<"log.list">;

/** One line as the journal would show it. */
export function plain(l: Line): string {
  return `${l.time} ${l.level.padEnd(7)} ${l.process}: ${l.text}`;
}

/** What is shown, with what came since. */
export function append(shown: readonly Line[], more: readonly Line[]): Line[] {
  const last = shown[shown.length - 1]?.seq ?? 0;
  return [...shown, ...more.filter((l) => l.seq > last)].slice(-KEPT);
}

function useLines(filter: { level: string; process: string; match: string }, paused: boolean) {
  const [lines, set] = useState<Line[]>();
  const [error, setError] = useState<unknown>();
  const since = useRef<number>();
  const key = JSON.stringify(filter);
  useEffect(() => {
    since.current = undefined;
  }, [key]);
  useEffect(() => {
    if (paused) return;
    const abort = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const ask = async () => {
      const from = since.current;
      const range = from === undefined ? { last: FIRST } : { since: from };
      const a = await watch<Answers["log.list"]>("/log", { ...filter, ...range }, abort.signal);
      since.current = a.next;
      set((old) => append(from === undefined ? [] : (old ?? []), a.items));
      setError(undefined);
    };
    const again = () => {
      ask()
        .catch((e: unknown) => {
          if (!abort.signal.aborted) setError(e);
        })
        .finally(() => {
          if (!abort.signal.aborted) timer = setTimeout(again, AGAIN_MS);
        });
    };
    again();
    return () => {
      abort.abort();
      clearTimeout(timer);
    };
  }, [key, paused]);
  return { lines, error };
}

/** Stays at the end while it is there. */
function Lines({ lines }: { lines: readonly Line[] }) {
  const ref = useRef<HTMLDivElement>(null);
  const atEnd = useRef(true);
  useEffect(() => {
    const box = ref.current;
    if (box && atEnd.current) box.scrollTop = box.scrollHeight;
  }, [lines]);
  const scrolled = () => {
    const box = ref.current;
    if (box) atEnd.current = box.scrollTop + box.clientHeight >= box.scrollHeight - 8;
  };
  return (
    <div
      class="log"
      role="log"
      aria-live="off"
      aria-label={t.title}
      tabIndex={0}
      ref={ref}
      onScroll={scrolled}
    >
      {lines.map((l) => (
        <p key={l.seq} class={l.level}>
          {l.left_out > 0 && <span class="muted">{t.leftOut(l.left_out)} </span>}
          <time dateTime={l.time} title={l.time}>
            {time(l.time)}
          </time>{" "}
          {l.level} <strong>{l.process}</strong> {l.text}
        </p>
      ))}
    </div>
  );
}

function Choice(props: { label: string; name: string; value: string; choices: [string, string][] }) {
  return (
    <label>
      <span class="visually-hidden">{props.label}</span>
      <select value={props.value} onChange={(e) => setQuery({ [props.name]: e.currentTarget.value })}>
        {props.choices.map(([value, title]) => (
          <option key={value} value={value}>
            {title}
          </option>
        ))}
      </select>
    </label>
  );
}

export function Log({ place }: { place: PageProps["place"] }) {
  const [paused, pause] = useState(false);
  const of = (name: string) => place.query.get(name) ?? "";
  const { lines, error } = useLines(
    { level: of("level"), process: of("process"), match: of("match") },
    paused,
  );
  const save = () => download("gatehouse.log", `${(lines ?? []).map(plain).join("\n")}\n`, "text/plain");
  return (
    <section class="stack" aria-label={t.title}>
      <form class="row" role="search" onSubmit={(e) => e.preventDefault()}>
        <Choice
          label={t.level}
          name="level"
          value={of("level")}
          choices={[["", t.all], ...levels.map((l): [string, string] => [l, t.atLeast(l)])]}
        />
        <Choice
          label={t.process}
          name="process"
          value={of("process")}
          choices={[["", t.any], ...processes.map((p): [string, string] => [p, p])]}
        />
        <label class="grow">
          <span class="visually-hidden">{t.match}</span>
          <input
            type="search"
            placeholder={t.match}
            value={of("match")}
            onInput={(e) => setQuery({ match: e.currentTarget.value })}
          />
        </label>
        <button type="button" aria-pressed={paused} onClick={() => pause(!paused)}>
          {paused ? t.go : t.pause}
        </button>
        <button type="button" onClick={save}>
          {t.save}
        </button>
      </form>
      <Trouble error={error} />
      {lines && lines.length > 0 && <Lines lines={lines} />}
      {lines?.length === 0 && (
        <div class="card">
          <Empty title={t.none}>{t.noneHint}</Empty>
        </div>
      )}
      <p class="muted">{t.hint}</p>
      <Copy value="journalctl -u gatehouse -n 200 -f" label={t.title} />
    </section>
  );
}
