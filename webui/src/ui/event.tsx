// SPDX-License-Identifier: Apache-2.0
// Events: one of them in one or two lines (when, how severe, what, who, why), and the list that grows as they come.
import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import { get, post, type Arguments, type Page } from "../api";
import { useEvents, useReset } from "../live";
import { text } from "../text";
import type { Answers, GatewayEvent, Severity } from "../types";
import {
  Badge,
  Dialog,
  explain,
  Form,
  Input,
  Link,
  Spinner,
  Time,
  Trouble,
  useAction,
  useLoad,
  wrong,
  type Tone,
} from "./kit";
import { DenialActions, deniedOf } from "./denial";
import { toast } from "./toast";

export const tones: Record<Severity, Tone> = {
  debug: "",
  info: "",
  notice: "accent",
  warning: "warn",
  error: "bad",
  critical: "bad",
};

/** Fingerprints and serial numbers by their first digits. */
function short(value: string): string {
  return /^[0-9a-f]{32,}$/.test(value) ? `${value.slice(0, 16)}…` : value;
}

/** What a sentence says already is not told again. */
const told = new Set(["action", "topic", "filter"]);

/** "topic plant/x, rule 7". */
export function details(e: GatewayEvent, without: ReadonlySet<string> = new Set()): string {
  return Object.entries(e.detail)
    .filter(([k, v]) => !without.has(k) && !(k === "rule" && v === 0))
    .map(([k, v]) => `${k.replaceAll("_", " ")} ${short(String(v))}`)
    .join(", ");
}

/** The kind of an event in words; its name for the filter on hover. */
export function EventName({ event, severity }: { event: string; severity: Severity }) {
  return (
    <span title={event}>
      <Badge tone={tones[severity]}>{text.events.named[event] ?? event}</Badge>
    </span>
  );
}

/** What is acknowledged: one event, or all of a kind as the gateway's operation says it. */
export interface Acknowledging {
  title: string;
  args: Arguments;
}

export function Acknowledge({
  what,
  close,
  done,
}: {
  what: Acknowledging;
  close: () => void;
  done: () => void;
}) {
  const [note, setNote] = useState("");
  const action = useAction();
  const save = async () => {
    const { events } = await post<Answers["event.acknowledge"]>("/events/acknowledge", {
      ...what.args,
      note,
    });
    toast(text.events.acknowledged(events), () => {
      post("/events/acknowledge", { ...what.args, undo: true })
        .then(() => toast(text.events.takenBack))
        .catch((e: unknown) => toast(explain(e)))
        .finally(done);
    });
    done();
    close();
  };
  return (
    <Dialog title={what.title} close={close}>
      <Form action={action} run={save} fields={["note"]} word={text.events.acknowledge}>
        <p class="muted">{text.events.acknowledgeHint}</p>
        <Input
          label={text.events.note}
          hint={text.events.noteHint}
          value={note}
          set={setNote}
          error={wrong(action.error, "note")}
          maxLength={250}
          autofocus
        />
      </Form>
    </Dialog>
  );
}

const needsLook: Severity[] = ["warning", "error", "critical"];

function Who({ event }: { event: GatewayEvent }) {
  if (event.device === null) return <>{event.actor}</>;
  return <Link href={`/devices/${encodeURIComponent(event.device)}`}>{event.device}</Link>;
}

function EventLine(props: {
  event: GatewayEvent;
  /** How many of the kind before it are not shown. */
  more: number;
  operator: boolean;
  acknowledge?: (e: GatewayEvent) => void;
}) {
  const { event, acknowledge } = props;
  const denied = deniedOf(event);
  return (
    <li>
      <span class="small muted">
        <Time at={event.time} />
      </span>
      <span class="what">
        <EventName event={event.event} severity={event.severity} /> <Who event={event} />
        {denied && (
          <>
            {` ${text.denial.said(denied.action)} `}
            <code>{denied.topic}</code>
          </>
        )}
        {event.reason ? ` – ${event.reason}` : ""}
        {event.address ? <span class="muted small"> {event.address}</span> : null}
        <span class="muted small"> {details(event, denied ? told : undefined)}</span>
        {props.more > 0 && <span class="small"> {text.events.more(props.more)}</span>}
        {event.acknowledged && (
          <span class="small good">
            {" "}
            ✓ {text.events.by(event.acknowledged.actor, event.acknowledged.note)}
          </span>
        )}
      </span>
      <span class="act">
        {denied && <DenialActions denied={denied} operator={props.operator} />}
        {acknowledge && !event.acknowledged && needsLook.includes(event.severity) && (
          <button class="plain small" onClick={() => acknowledge(event)}>
            {text.events.acknowledge}
          </button>
        )}
      </span>
    </li>
  );
}

/** Neighbours of one kind, by the same, for the same: the newest of them and how many more. Newest first. */
export function folded(newest: readonly GatewayEvent[]): { event: GatewayEvent; more: number }[] {
  const key = (e: GatewayEvent) => JSON.stringify([e.event, e.device, e.actor, e.reason, e.detail.topic]);
  const out: { event: GatewayEvent; more: number }[] = [];
  const seen = new Map<string, { event: GatewayEvent; more: number }>();
  for (const event of newest) {
    const before = seen.get(key(event));
    if (before) {
      before.more++;
      continue;
    }
    const one = { event, more: 0 };
    seen.set(key(event), one);
    out.push(one);
  }
  return out;
}

export interface EventLog {
  reload: () => void;
  /** The newest so many, oldest first. */
  all: GatewayEvent[];
  /** How many came while it is paused. */
  waiting: number;
  loaded: boolean;
  /** Trouble, or that it loads. */
  foot: ComponentChildren;
}

/** The events that the gateway keeps and those that come, in one list. args is the choice for the gateway, passes the
 * same one for what comes. */
export function useEventLog(
  args: Arguments,
  keep: number,
  passes: (e: GatewayEvent) => boolean,
  paused = false,
): EventLog {
  const key = JSON.stringify(args);
  const list = useLoad(
    (signal) => get<Page<GatewayEvent>>("/events", { ...args, last: keep }, signal),
    [key],
  );
  const [fresh, set] = useState<GatewayEvent[]>([]);
  useEvents((e) => {
    if (passes(e)) set((l) => [...l, e].slice(-keep));
  });
  useReset(() => {
    set([]);
    list.reload();
  });
  useEvents((e) => {
    if (e.event === "event.acknowledged") list.reload();
  });
  const known = list.data?.items ?? [];
  const newest = known[known.length - 1]?.seq ?? 0;
  const more = fresh.filter((e) => e.seq > newest && passes(e));
  return {
    reload: list.reload,
    all: [...known, ...(paused ? [] : more)].slice(-keep),
    waiting: paused ? more.length : 0,
    loaded: list.data !== undefined,
    foot: (
      <>
        <Trouble error={list.error} retry={list.reload} />
        {list.loading && !list.data && <Spinner />}
      </>
    ),
  };
}

/** The newest first. */
export function EventList(props: {
  events: GatewayEvent[];
  /** May the viewer acknowledge? Then done is called after it. */
  operator?: boolean;
  /** Those that are the same again and again, once. */
  fold?: boolean;
  done?: () => void;
}) {
  const newest = [...props.events].reverse();
  const lines = props.fold ? folded(newest) : newest.map((event) => ({ event, more: 0 }));
  const [one, setOne] = useState<GatewayEvent>();
  return (
    <>
      <ul class="events">
        {lines.map((l) => (
          <EventLine
            key={l.event.seq}
            event={l.event}
            more={l.more}
            operator={props.operator ?? false}
            {...(props.operator ? { acknowledge: setOne } : {})}
          />
        ))}
      </ul>
      {one && (
        <Acknowledge
          what={{ title: text.events.acknowledgeOne(one.event), args: { seq: one.seq } }}
          close={() => setOne(undefined)}
          done={() => props.done?.()}
        />
      )}
    </>
  );
}
