// SPDX-License-Identifier: Apache-2.0
// Devices from a table: read and judged here line by line, before anything is done; then added a few at a time, with
// what was made for them and what failed.
import type { ComponentChildren } from "preact";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import type { PageProps } from "../app";
import { get, Problem, type Page } from "../api";
import { addDevice, halfMade, type Made } from "../bulk-add";
import {
  forEach,
  readDevices,
  type Default,
  type Known,
  type Table as DeviceTable,
  type Wish,
} from "../bulk";
import { writeCsv } from "../csv";
import { may } from "../session";
import { text } from "../text";
import type { Device, Role, Row, Status } from "../types";
import { Alert, Badge, type Column, explain, Field, Link, Table, Trouble, useLoad } from "../ui/kit";
import { download, Forbidden } from "../ui/pages";
import { Progress } from "../ui/progress";

const t = text.bulk;
const FILE_MAX_MIB = 8;
const SHOWN = 100;
const AT_ONCE = 3;
const PAGE = 1000;
const LOOK_MS = 400;

/** Those of the names that are taken, by whichever way asks less often. */
async function taken(names: string[], signal: AbortSignal): Promise<Set<string>> {
  const found = new Set<string>();
  const { devices } = await get<Status>("/status", {}, signal);
  if (Math.ceil(devices.total / PAGE) > names.length) {
    for (const match of names) {
      const page = await get<Page<Device>>("/devices", { match, limit: PAGE }, signal);
      for (const d of page.items) found.add(d.name);
    }
    return found;
  }
  for (let after: string | null = ""; after !== null; ) {
    const page: Page<Device> = await get<Page<Device>>("/devices", { after, limit: PAGE }, signal);
    for (const d of page.items) found.add(d.name);
    after = page.next;
  }
  return found;
}

function Source({ set }: { set: (s: string) => void }) {
  const [trouble, setTrouble] = useState("");
  const [over, setOver] = useState(false);
  const [typed, setTyped] = useState("");
  const file = useRef<HTMLInputElement>(null);
  const take = (f: File | undefined) => {
    if (!f) return;
    setTrouble(f.size > FILE_MAX_MIB * 1024 * 1024 ? t.tooLarge(FILE_MAX_MIB) : "");
    if (f.size > FILE_MAX_MIB * 1024 * 1024) return;
    void f.text().then((s) => {
      setTyped(s);
      set(s);
    });
  };
  return (
    <>
      <div
        class={`drop ${over ? "over" : ""}`}
        onDragOver={(e) => {
          e.preventDefault();
          setOver(true);
        }}
        onDragLeave={() => setOver(false)}
        onDrop={(e) => {
          e.preventDefault();
          setOver(false);
          take(e.dataTransfer?.files[0]);
        }}
      >
        <span>{t.drop}</span>
        <button type="button" onClick={() => file.current?.click()}>
          {t.choose}
        </button>
        <input
          ref={file}
          type="file"
          accept=".csv,.txt,text/csv,text/plain"
          class="visually-hidden"
          tabIndex={-1}
          aria-label={t.choose}
          onChange={(e) => {
            take(e.currentTarget.files?.[0]);
            e.currentTarget.value = "";
          }}
        />
      </div>
      {trouble && <Alert tone="bad">{trouble}</Alert>}
      <Field label={t.paste}>
        {(a) => (
          <textarea
            {...a}
            class="mono"
            rows={6}
            spellcheck={false}
            placeholder={t.placeholder}
            value={typed}
            onInput={(e) => {
              setTyped(e.currentTarget.value);
              set(e.currentTarget.value);
            }}
          />
        )}
      </Field>
    </>
  );
}

function Columns() {
  const titles = ["name", "kind", "groups", "roles", "note", "certificate", "password", "profile", "network"];
  return (
    <details>
      <summary>{t.columns}</summary>
      <div class="stack">
        <dl class="facts">
          {t.columnsHint.map(([name, what]) => (
            <>
              <dt class="mono">{name}</dt>
              <dd>{what}</dd>
            </>
          ))}
        </dl>
        <div class="row">
          <button
            type="button"
            onClick={() => download("devices.csv", titles.join(",") + "\r\n", "text/csv")}
          >
            {t.template}
          </button>
        </div>
      </div>
    </details>
  );
}

const columns: Column<Wish>[] = [
  { title: t.line, number: true, cell: (w) => w.line },
  { title: text.devices.name, cell: (w) => w.name },
  {
    title: t.problem,
    cell: (w) => w.wrong.map((x) => <div key={x.message}>{x.message}</div>),
  },
  {
    title: t.gets,
    cell: (w) =>
      [w.code ? t.getsCode : "", w.password ? t.getsPassword : ""].filter((s) => s).join(", ") || text.none,
  },
  { title: text.devices.kind, cell: (w) => w.kind },
  { title: text.devices.groups, cell: (w) => w.groups.join(", ") },
  { title: text.devices.roles, cell: (w) => w.roles.join(", ") },
  { title: text.devices.note, cell: (w) => w.note },
];

function Preview({ table, run }: { table: DeviceTable; run: ComponentChildren }) {
  const [onlyBad, setOnlyBad] = useState(false);
  const good = table.wishes.filter((w) => w.wrong.length === 0).length;
  const all = table.wishes.length;
  const rows = onlyBad && good < all ? table.wishes.filter((w) => w.wrong.length > 0) : table.wishes;
  return (
    <section class="card stack" aria-label={t.preview}>
      <h2>{t.preview}</h2>
      <Alert tone={good === all ? "good" : "warn"}>{t.good(good, all)}</Alert>
      {table.leftOut.length > 0 && <p class="small muted">{t.leftOut(table.leftOut.join(", "))}</p>}
      {good < all && (
        <label class="check">
          <input type="checkbox" checked={onlyBad} onChange={(e) => setOnlyBad(e.currentTarget.checked)} />
          {t.onlyBad}
        </label>
      )}
      <Table label={t.preview} columns={columns} rows={rows.slice(0, SHOWN)} name={(w) => w.line} />
      {rows.length > SHOWN && <p class="small muted">{t.firstRows(SHOWN, rows.length)}</p>}
      {run}
    </section>
  );
}

interface Failure {
  wish: Wish;
  why: string;
}

interface Run {
  wanted: Wish[];
  made: Made[];
  failed: Failure[];
  running: boolean;
}

function secretsOf(made: Made[]): string {
  const rows = made
    .filter((m) => m.code !== "" || m.password !== "")
    .map((m) => [m.name, m.code, m.expires, m.profile, m.password]);
  return writeCsv(["name", "code", "expires", "profile", "password"], rows);
}

function Result({
  run,
  stop,
  retry,
  again,
}: {
  run: Run;
  stop: () => void;
  retry: () => void;
  again: () => void;
}) {
  const [saved, setSaved] = useState(false);
  const { wanted, made, failed, running } = run;
  const left = wanted.length - made.length - failed.length;
  const halves = failed.map((f) => halfMade(f.wish)).filter((m) => m !== undefined);
  const all = [...made, ...halves];
  const secrets = all.reduce((n, m) => n + (m.code ? 1 : 0) + (m.password ? 1 : 0), 0);
  useEffect(() => setSaved(false), [secrets]);
  useEffect(() => {
    if (!running && (secrets === 0 || saved)) return;
    const ask = (e: BeforeUnloadEvent) => e.preventDefault();
    addEventListener("beforeunload", ask);
    return () => removeEventListener("beforeunload", ask);
  }, [running, secrets, saved]);
  const save = () => {
    download("device-secrets.csv", secretsOf(all), "text/csv");
    setSaved(true);
  };
  return (
    <section class="card stack" aria-live="polite">
      <Progress done={made.length + failed.length} all={wanted.length} label={t.title} />
      {running && (
        <div class="row">
          <button onClick={stop}>{t.stop}</button>
        </div>
      )}
      {!running && (
        <>
          <Alert tone={failed.length + left > 0 ? "warn" : "good"}>
            {t.added(made.length)} {left > 0 && `${t.stopped} ${t.left(left)}`}
          </Alert>
          {secrets > 0 && (
            <Alert tone="warn">
              <div class="row apart">
                <span>{t.secrets(secrets)}</span>
                <button class="primary" onClick={save}>
                  {saved ? `✔ ${t.saved}` : t.saveSecrets}
                </button>
              </div>
            </Alert>
          )}
          {failed.length > 0 && (
            <>
              <h2>{t.failed(failed.length)}</h2>
              <Table
                label={t.failed(failed.length)}
                columns={[
                  { title: t.line, number: true, cell: (f: Failure) => f.wish.line },
                  { title: text.devices.name, cell: (f) => f.wish.name },
                  { title: t.problem, cell: (f) => f.why },
                ]}
                rows={failed.slice(0, SHOWN)}
                name={(f) => f.wish.line}
              />
              {failed.length > SHOWN && <p class="small muted">{t.firstRows(SHOWN, failed.length)}</p>}
            </>
          )}
          <div class="row">
            {failed.length + left > 0 && <button onClick={retry}>{t.retry(failed.length + left)}</button>}
            <Link class="button" href="/devices">
              {t.toList}
            </Link>
            <button onClick={again}>{t.again}</button>
          </div>
        </>
      )}
    </section>
  );
}

/** The work on what is good of a table. */
function useRun() {
  const [run, set] = useState<Run>();
  const stopped = useRef(false);
  const start = (wishes: Wish[], before: Made[], wanted: Wish[]) => {
    stopped.current = false;
    set({ wanted, made: before, failed: [], running: true });
    const one = async (wish: Wish) => {
      try {
        const made = await addDevice(wish, () => stopped.current);
        set((r) => r && { ...r, made: [...r.made, made] });
      } catch (e) {
        const why = e instanceof Problem && e.half ? t.half(explain(e)) : explain(e);
        set((r) => r && { ...r, failed: [...r.failed, { wish, why }] });
      }
    };
    void forEach(wishes, AT_ONCE, () => stopped.current, one).then(() =>
      set((r) => r && { ...r, running: false }),
    );
  };
  const retry = () => {
    if (!run) return;
    const done = new Set(run.made.map((m) => m.name));
    start(
      run.wanted.filter((w) => !done.has(w.name)),
      run.made,
      run.wanted,
    );
  };
  useEffect(() => () => void (stopped.current = true), []);
  return {
    run,
    start: (wishes: Wish[]) => start(wishes, [], wishes),
    stop: () => void (stopped.current = true),
    retry,
    forget: () => set(undefined),
  };
}

/** What is on the gateway, as far as the table names it. */
function useKnown(source: string, byDefault: Default) {
  const roles = useLoad((signal) => get<Page<Role>>("/roles", {}, signal), []);
  const profiles = useLoad((signal) => get<Page<Row<"profile.list">>>("/profiles", {}, signal), []);
  const [devices, setDevices] = useState<{ source: string; names: Set<string> }>();
  const [error, setError] = useState<unknown>();
  const [round, again] = useState(0);
  useEffect(() => {
    const names = readDevices(source, byDefault, {}).wishes.map((w) => w.name);
    if (names.length === 0) return;
    const abort = new AbortController();
    const timer = setTimeout(() => {
      setError(undefined);
      taken(names, abort.signal)
        .then((found) => setDevices({ source, names: found }))
        .catch((e: unknown) => abort.signal.aborted || setError(e));
    }, LOOK_MS);
    return () => {
      clearTimeout(timer);
      abort.abort();
    };
  }, [source, round]);
  const current = devices?.source === source ? devices.names : undefined;
  const known: Known = useMemo(
    () => ({
      ...(roles.data ? { roles: new Set(roles.data.items.map((r) => r.name)) } : {}),
      ...(profiles.data ? { profiles: new Set(profiles.data.items.map((p) => p.name)) } : {}),
      ...(current ? { devices: current } : {}),
    }),
    [roles.data, profiles.data, current],
  );
  return { known, complete: roles.data && profiles.data && current, error, again: () => again((n) => n + 1) };
}

export default function ImportDevices({ session }: PageProps) {
  const [source, setSource] = useState("");
  const [byDefault, setDefault] = useState<Default>("code");
  const { known, complete, error, again } = useKnown(source, byDefault);
  const table = useMemo(() => readDevices(source, byDefault, known), [source, byDefault, known]);
  const work = useRun();
  const good = table.wishes.filter((w) => w.wrong.length === 0);
  if (!may(session, "operator"))
    return (
      <>
        <h1>{t.title}</h1>
        <Forbidden level="operator" />
      </>
    );
  if (work.run)
    return (
      <>
        <h1>{t.title}</h1>
        <Result
          run={work.run}
          stop={work.stop}
          retry={work.retry}
          again={() => {
            setSource("");
            work.forget();
          }}
        />
      </>
    );
  return (
    <>
      <h1>{t.title}</h1>
      <section class="card stack" aria-label={t.title}>
        <p>{t.intro}</p>
        <Columns />
        <Source set={setSource} />
        <fieldset class="choices">
          <legend>{t.fallback}</legend>
          {(["code", "password", "nothing"] as const).map((x) => (
            <label key={x} class="check">
              <input type="radio" name="fallback" checked={byDefault === x} onChange={() => setDefault(x)} />
              {t.fallbacks[x]}
            </label>
          ))}
        </fieldset>
      </section>
      {table.problem && <Alert tone="bad">{table.problem}</Alert>}
      {table.wishes.length > 0 && (
        <Preview
          table={table}
          run={
            <>
              <Trouble error={error} retry={again} />
              <div class="row">
                <button
                  class="primary"
                  disabled={!complete || good.length === 0}
                  onClick={() => work.start(good)}
                >
                  {good.length === table.wishes.length ? t.run(good.length) : t.runGood(good.length)}
                </button>
                {!complete && error === undefined && (
                  <Badge>
                    <span role="status">{t.checking}</span>
                  </Badge>
                )}
              </div>
            </>
          }
        />
      )}
    </>
  );
}
