// SPDX-License-Identifier: Apache-2.0
// The learn mode of a device or a role: whether it is on, what was done in it, the rules that would allow that.
import { useState } from "preact/hooks";
import { del, get, post } from "../api";
import { count } from "../format";
import { text } from "../text";
import type { Answers, Row } from "../types";
import {
  Alert,
  Badge,
  type Column,
  Dialog,
  Form,
  Input,
  Spinner,
  Table,
  Time,
  Trouble,
  useAction,
  useLoad,
} from "./kit";
import { toast } from "./toast";

const t = text.learn;

export interface Learner {
  device?: string;
  role?: string;
}

type Learnt = Answers["learn.show"];
type Topic = Row<"learn.show">;
type Proposal = Answers["learn.propose"];
type Proposed = Row<"learn.propose">;

function Choice(props: { item: Proposed; chosen: boolean; set: (chosen: boolean) => void }) {
  return (
    <label class="choice">
      <input type="checkbox" checked={props.chosen} onChange={(e) => props.set(e.currentTarget.checked)} />
      <span>
        <code>+ {props.item.line}</code> {props.item.broad && <Badge tone="warn">{t.broad}</Badge>}
        <span class="small muted">
          {t.times(count(props.item.times))} <Time at={props.item.last} />
        </span>
      </span>
    </label>
  );
}

function Propose({ who, close, done }: { who: Learner; close: () => void; done: () => void }) {
  const load = useLoad((signal) => get<Proposal>("/learn/proposal", { ...who }, signal), []);
  const [without, setWithout] = useState<string[]>([]);
  const action = useAction();
  const items = load.data?.items ?? [];
  const chosen = items.filter((i) => !without.includes(i.line));
  const save = async () => {
    if (chosen.length > 0) {
      const answer = await post<Answers["acl.apply"]>("/acl/apply", { with: chosen.map((i) => i.line) });
      toast(t.applied(answer.added.length));
    }
    await del("/learn", { ...who });
    done();
    close();
  };
  return (
    <Dialog title={t.propose} close={close}>
      <Trouble error={load.error} retry={load.reload} />
      {load.loading && !load.data && <Spinner />}
      {load.data && (
        <Form action={action} run={save} word={chosen.length > 0 ? t.apply(chosen.length) : t.endOnly}>
          <p class="muted">{t.proposeHint(load.data.allowed)}</p>
          {items.length === 0 && <p>{t.nothingToAdd}</p>}
          {items.map((i) => (
            <Choice
              key={i.line}
              item={i}
              chosen={!without.includes(i.line)}
              set={(yes) => setWithout(yes ? without.filter((l) => l !== i.line) : [...without, i.line])}
            />
          ))}
          {load.data.left_out > 0 && <p class="small muted">{t.leftOut(count(load.data.left_out))}</p>}
        </Form>
      )}
    </Dialog>
  );
}

function Start({ who, close, done }: { who: Learner; close: () => void; done: () => void }) {
  const [days, setDays] = useState("7");
  const action = useAction();
  const start = async () => {
    await post("/learn", { ...who, days: Number(days) });
    toast(t.begun);
    done();
    close();
  };
  return (
    <Dialog title={t.start} close={close}>
      <Form action={action} run={start} word={t.start} danger>
        <p>{t.startHint}</p>
        <Input label={t.days} hint={t.daysHint} type="number" value={days} set={setDays} required autofocus />
      </Form>
    </Dialog>
  );
}

const columns: Column<Topic>[] = [
  { title: t.action, cell: (i) => i.action },
  { title: t.topic, cell: (i) => <code>{i.topic}</code> },
  { title: t.timesHead, number: true, cell: (i) => count(i.times) },
  { title: t.last, cell: (i) => <Time at={i.last} /> },
];

function Topics({ list, withDevice }: { list: Topic[]; withDevice: boolean }) {
  const all = withDevice ? [{ title: t.device, cell: (i: Topic) => i.device }, ...columns] : columns;
  if (list.length === 0) return <p class="muted">{t.nothing}</p>;
  return (
    <details>
      <summary>{t.learnt(list.length)}</summary>
      <Table label={t.what} columns={all} rows={list} name={(i) => `${i.device} ${i.action} ${i.topic}`} />
    </details>
  );
}

export function Learn({ who, operator, changed }: { who: Learner; operator: boolean; changed?: () => void }) {
  const load = useLoad((signal) => get<Learnt>("/learn/topics", { ...who }, signal), [JSON.stringify(who)]);
  const [open, setOpen] = useState<"start" | "propose">();
  const action = useAction();
  const close = () => setOpen(undefined);
  const done = () => {
    load.reload();
    changed?.();
  };
  const stop = () =>
    action.run(async () => {
      await del("/learn", { ...who });
      toast(t.ended);
      done();
    });
  const learnt = load.data;
  return (
    <section class="stack" aria-label={t.title}>
      <h2>{t.title}</h2>
      <Trouble error={load.error} retry={load.reload} />
      <Trouble error={action.error} />
      {learnt?.until && (
        <Alert tone="warn">
          {t.on} <Time at={learnt.until} exact />
        </Alert>
      )}
      {learnt && <Topics list={learnt.items} withDevice={who.role !== undefined} />}
      {operator && learnt && (
        <div class="row">
          {!learnt.until && <button onClick={() => setOpen("start")}>{t.start}</button>}
          {(learnt.until !== null || learnt.items.length > 0) && (
            <button onClick={() => setOpen("propose")}>{t.propose}</button>
          )}
          {learnt.until && (
            <button disabled={action.busy} onClick={stop}>
              {t.end}
            </button>
          )}
        </div>
      )}
      {open === "start" && <Start who={who} close={close} done={done} />}
      {open === "propose" && <Propose who={who} close={close} done={done} />}
    </section>
  );
}
