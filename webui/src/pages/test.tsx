// SPDX-License-Identifier: Apache-2.0
// The test client: publishes a message, shows those that come as a tree of topics and as a list, and the retained ones.
import { useEffect, useRef, useState } from "preact/hooks";
import type { PageProps } from "../app";
import { del, get, post, type Page } from "../api";
import { bytes, count, time } from "../format";
import { setQuery } from "../router";
import { may } from "../session";
import { text } from "../text";
import type { Answers, Message } from "../types";
import { show, treeOf, watch, type Node, type Published, type Shape } from "../watch";
import { Alert, Badge, Empty, explain, Field, Form, Input, useAction, wrong } from "../ui/kit";
import { Confirm } from "../ui/pages";
import { toast } from "../ui/toast";

const t = text.test;
const KEPT = 200; // messages of the list
const TOPICS = 2000; // of the tree
const RETAINED = 1000; // that are loaded at the beginning
const DRAW_MS = 200;

interface Seen {
  list: Published[];
  topics: Map<string, Message>;
  counts: Map<string, number>;
  dropped: number;
  more: boolean;
}

const nothing = (): Seen => ({ list: [], topics: new Map(), counts: new Map(), dropped: 0, more: false });

function keep(seen: Seen, m: Message): void {
  const before = seen.topics.get(m.topic);
  if (!before && seen.topics.size >= TOPICS) {
    seen.more = true;
    return;
  }
  // A later message does not take the retained one away; an empty retained one does.
  const retained = m.retain ? m.size > 0 : (before?.retain ?? false);
  seen.topics.set(m.topic, { ...m, retain: retained });
}

async function loadRetained(filter: string, as: string, seen: Seen, isOver: () => boolean): Promise<void> {
  let after: string | null = null;
  let n = 0;
  do {
    const page: Page<Message> = await get<Page<Message>>("/retained", { filter, as, after, limit: 200 });
    if (isOver()) return;
    for (const m of page.items) if (!seen.topics.has(m.topic)) keep(seen, m);
    n += page.items.length;
    after = page.next;
  } while (after !== null && n < RETAINED);
  seen.more ||= after !== null;
}

/** What a watch brings, drawn a few times a second whatever comes. */
function useSeen(filter: string, as: string, on: boolean, round: number): { seen: Seen; trouble: unknown } {
  const ref = useRef(nothing());
  const [, draw] = useState(0);
  const [trouble, setTrouble] = useState<unknown>();
  useEffect(() => {
    ref.current = nothing();
    draw((n) => n + 1);
  }, [filter, as, round]);
  useEffect(() => {
    if (!on) return;
    let over = false;
    let dirty = false;
    const timer = setInterval(() => {
      if (dirty) draw((n) => n + 1);
      dirty = false;
    }, DRAW_MS);
    const stop = watch(
      { filter, ...(as ? { as } : {}) },
      {
        message: (m) => {
          const seen = ref.current;
          seen.list = [m, ...seen.list.slice(0, KEPT - 1)];
          seen.counts.set(m.topic, (seen.counts.get(m.topic) ?? 0) + 1);
          keep(seen, m);
          dirty = true;
        },
        dropped: (n) => {
          ref.current.dropped = n;
          dirty = true;
        },
        trouble: setTrouble,
      },
    );
    loadRetained(filter, as, ref.current, () => over)
      .then(() => (dirty = true))
      .catch((e: unknown) => !over && setTrouble(e));
    return () => {
      over = true;
      clearInterval(timer);
      stop();
    };
  }, [filter, as, on, round]);
  return { seen: ref.current, trouble };
}

function Payload({ message, shape }: { message: Message; shape: Shape }) {
  if (message.hidden) return <p class="small muted">{t.hidden(bytes(message.size))}</p>;
  return (
    <>
      <pre class="payload" tabIndex={0} aria-label={t.payload}>
        {message.size === 0 ? "" : show(message, shape)}
      </pre>
      {message.size === 0 && <p class="small muted">{t.empty}</p>}
      {message.cut && <p class="small muted">{t.cut(bytes(message.size))}</p>}
    </>
  );
}

function Branch(props: { node: Node; chosen: string; choose: (topic: string) => void; depth: number }) {
  const { node } = props;
  const [open, set] = useState(props.depth < 3);
  const name = node.level === "" ? t.emptyLevel : node.level;
  return (
    <li>
      <div class="row">
        {node.children.length > 0 ? (
          <button
            class="plain fold"
            aria-expanded={open}
            aria-label={t.fold(node.topic || name)}
            onClick={() => set(!open)}
          >
            {open ? "▾" : "▸"}
          </button>
        ) : (
          <span class="fold" aria-hidden="true" />
        )}
        {node.message ? (
          <button
            class="plain topic"
            aria-pressed={props.chosen === node.topic}
            onClick={() => props.choose(node.topic)}
          >
            {name}
          </button>
        ) : (
          <span class="topic muted">{name}</span>
        )}
        {node.message?.retain && <Badge tone="accent">{t.retained}</Badge>}
        {node.count > 0 && <span class="small muted">{count(node.count)}</span>}
      </div>
      {open && node.children.length > 0 && (
        <ul>
          {node.children.map((n) => (
            <Branch key={n.level} {...props} node={n} depth={props.depth + 1} />
          ))}
        </ul>
      )}
    </li>
  );
}

function Publish({ topic, setTopic, as }: { topic: string; setTopic: (v: string) => void; as: string }) {
  const [payload, setPayload] = useState("");
  const [qos, setQos] = useState("0");
  const [retain, setRetain] = useState(false);
  const action = useAction();
  const e = action.error;
  const send = async () => {
    const done = await post<Answers["message.publish"]>("/messages", {
      topic,
      payload,
      qos: Number(qos),
      retain,
      ...(as ? { as } : {}),
    });
    toast(t.published(done.receivers));
  };
  return (
    <section class="card stack" aria-label={t.publish}>
      <h2>{t.publish}</h2>
      <Form action={action} run={send} fields={["topic", "payload"]} word={t.send}>
        <Input
          label={t.topic}
          value={topic}
          set={setTopic}
          error={wrong(e, "topic")}
          maxLength={1024}
          required
          autocomplete="off"
        />
        <Field label={t.payload} error={wrong(e, "payload")}>
          {(a) => (
            <textarea {...a} rows={4} value={payload} onInput={(x) => setPayload(x.currentTarget.value)} />
          )}
        </Field>
        <div class="row end">
          <Field label={t.qos}>
            {(a) => (
              <select {...a} value={qos} onChange={(x) => setQos(x.currentTarget.value)}>
                {["0", "1", "2"].map((q) => (
                  <option key={q}>{q}</option>
                ))}
              </select>
            )}
          </Field>
          <label class="row">
            <input type="checkbox" checked={retain} onChange={(x) => setRetain(x.currentTarget.checked)} />
            {t.retain}
          </label>
        </div>
        {as && <p class="small muted">{t.asDevice(as)}</p>}
      </Form>
    </section>
  );
}

function Detail(props: { message: Message; shape: Shape; remove: (() => void) | undefined }) {
  const m = props.message;
  return (
    <section class="stack" aria-label={t.message}>
      <h3 class="mono">{m.topic}</h3>
      <div class="row">
        <Badge>{`QoS ${m.qos}`}</Badge>
        {m.retain && <Badge tone="accent">{t.retained}</Badge>}
        <span class="small muted">{bytes(m.size)}</span>
        {m.retain && props.remove && (
          <button class="danger" onClick={props.remove}>
            {t.removeRetained}
          </button>
        )}
      </div>
      <Payload message={m} shape={props.shape} />
    </section>
  );
}

function Messages({ list, shape }: { list: Published[]; shape: Shape }) {
  return (
    <ol class="plain messages" aria-label={t.messages}>
      {list.map((m) => (
        <li key={`${m.time} ${m.seq}`} class="stack">
          <div class="row">
            <time class="small muted nowrap" dateTime={m.time} title={m.time}>
              {time(m.time)}
            </time>
            <code>{m.topic}</code>
            <Badge>{`QoS ${m.qos}`}</Badge>
            {m.retain && <Badge tone="accent">{t.retain}</Badge>}
            <span class="small muted">{`${bytes(m.size)} ${t.from(m.device ?? m.client_id ?? t.gateway)}`}</span>
          </div>
          <Payload message={m} shape={shape} />
        </li>
      ))}
    </ol>
  );
}

const shapes: Shape[] = ["text", "json", "hex"];

function ShapeChoice({ shape, set }: { shape: Shape; set: (s: Shape) => void }) {
  return (
    <label class="row">
      <span>{t.shape}</span>
      <select value={shape} onChange={(e) => set(e.currentTarget.value as Shape)}>
        {shapes.map((s) => (
          <option key={s} value={s}>
            {t.shapes[s]}
          </option>
        ))}
      </select>
    </label>
  );
}

function WatchForm(props: {
  filter: string;
  as: string;
  on: boolean;
  toggle: () => void;
  clear: () => void;
}) {
  const [filter, setFilter] = useState(props.filter);
  const [as, setAs] = useState(props.as);
  const submit = (e: Event) => {
    e.preventDefault();
    setQuery({ filter: filter === "#" ? "" : filter.trim(), as: as.trim() });
  };
  return (
    <form class="row end" onSubmit={submit}>
      <label class="field grow">
        <span>{t.filter}</span>
        <input value={filter} maxLength={1024} onInput={(e) => setFilter(e.currentTarget.value)} />
      </label>
      <label class="field grow">
        <span>{t.as}</span>
        <input
          value={as}
          maxLength={64}
          placeholder={t.asNobody}
          onInput={(e) => setAs(e.currentTarget.value)}
        />
      </label>
      <button class="primary">{t.watch}</button>
      <button type="button" onClick={props.toggle}>
        {props.on ? t.pause : t.goOn}
      </button>
      <button type="button" onClick={props.clear}>
        {t.clear}
      </button>
    </form>
  );
}

export default function TestClient({ place, session }: PageProps) {
  const filter = place.query.get("filter") ?? "#";
  const as = place.query.get("as") ?? "";
  const [on, setOn] = useState(true);
  const [round, setRound] = useState(0);
  const [shape, setShape] = useState<Shape>("text");
  const [chosen, setChosen] = useState("");
  const [topic, setTopic] = useState("");
  const [removing, setRemoving] = useState("");
  const { seen, trouble } = useSeen(filter, as, on, round);
  const operator = may(session, "operator");
  const message = seen.topics.get(chosen);
  const choose = (x: string) => {
    setChosen(x);
    setTopic(x);
  };
  return (
    <>
      <h1>{t.title}</h1>
      <section class="card stack" aria-label={t.watch}>
        <WatchForm
          key={`${filter} ${as}`}
          filter={filter}
          as={as}
          on={on}
          toggle={() => setOn(!on)}
          clear={() => setRound(round + 1)}
        />
        {trouble !== undefined && <Alert tone="bad">{explain(trouble)}</Alert>}
        {seen.dropped > 0 && <Alert tone="warn">{t.dropped(seen.dropped)}</Alert>}
        {seen.more && <Alert tone="warn">{t.tooMany}</Alert>}
      </section>
      <div class="columns">
        <section class="card stack" aria-label={t.topics}>
          <div class="row apart">
            <h2>{t.topics}</h2>
            <ShapeChoice shape={shape} set={setShape} />
          </div>
          {seen.topics.size === 0 && <Empty title={t.none}>{t.noneHint}</Empty>}
          <ul class="tree">
            {treeOf(seen.topics, seen.counts).map((n) => (
              <Branch key={n.level} node={n} chosen={chosen} choose={choose} depth={0} />
            ))}
          </ul>
          {message && (
            <Detail
              message={message}
              shape={shape}
              remove={operator ? () => setRemoving(message.topic) : undefined}
            />
          )}
        </section>
        <div class="stack">
          {operator && <Publish topic={topic} setTopic={setTopic} as={as} />}
          <section class="card stack" aria-label={t.messages}>
            <h2>{t.messages}</h2>
            {seen.list.length === 0 && <p class="muted">{on ? t.waiting : t.paused}</p>}
            <Messages list={seen.list} shape={shape} />
          </section>
        </div>
      </div>
      {removing && (
        <Confirm
          title={t.removeTitle}
          hint={t.removeHint(removing)}
          word={text.remove}
          close={() => setRemoving("")}
          run={async () => {
            await del("/retained", { topic: removing });
            toast(t.removed);
          }}
        />
      )}
    </>
  );
}
