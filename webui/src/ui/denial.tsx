// SPDX-License-Identifier: Apache-2.0
// What a device was refused, and the way to allow it: exactly that, or what lies below; for the device alone or for all
// with one of its roles.
import { useState } from "preact/hooks";
import { del, get, post, segment } from "../api";
import { text } from "../text";
import type { Answers, DeviceDetail, GatewayEvent, Takes } from "../types";
import { Dialog, explain, Form, Link, Spinner, Trouble, useAction, useLoad } from "./kit";
import { toast } from "./toast";

const t = text.denial;

export interface Denied {
  device: string;
  action: string;
  topic: string;
  /** The rule that denies it; 0: none allows it. */
  rule: number;
}

/** The denial of an event "acl.denied"; undefined when it is none, or nobody known was denied. */
export function deniedOf(e: GatewayEvent): Denied | undefined {
  const topic = e.detail.topic ?? e.detail.filter;
  if (e.event !== "acl.denied" || e.device === null || typeof topic !== "string") return undefined;
  const rule = Number(e.detail.rule ?? 0);
  return { device: e.device, action: String(e.detail.action ?? "publish"), topic, rule };
}

export function whyHref(d: Denied): string {
  const q = new URLSearchParams({ tab: "why", device: d.device, action: d.action, topic: d.topic });
  return `/access?${q.toString()}`;
}

/** "a/b/c" → "a/b/#"; nothing where that would be everything, or it is a filter already. */
export function below(topic: string): string | undefined {
  const at = topic.lastIndexOf("/");
  return at > 0 && !/[+#]/.test(topic) ? `${topic.slice(0, at)}/#` : undefined;
}

/** Adds the rule, with a way back. */
export async function allow(rule: Takes["acl.add"], done: () => void = () => undefined): Promise<void> {
  const made = await post<Answers["acl.add"]>("/acl", { ...rule });
  toast(t.isAllowed(rule.subject, rule.action, rule.filter), () => {
    del(`/acl/${made.id}`)
      .then(() => toast(t.isTakenBack))
      .catch((e: unknown) => toast(explain(e)))
      .finally(done);
  });
  done();
}

function Radio(props: {
  name: string;
  value: string;
  chosen: string;
  set: (v: string) => void;
  said: string;
}) {
  return (
    <label class="row">
      <input
        type="radio"
        name={props.name}
        checked={props.chosen === props.value}
        onChange={() => props.set(props.value)}
      />
      <span>{props.said}</span>
    </label>
  );
}

export function AllowDialog({ denied, close }: { denied: Denied; close: () => void }) {
  const load = useLoad((signal) => get<DeviceDetail>(`/devices/${segment(denied.device)}`, {}, signal), []);
  const own = `device:${denied.device}`;
  const [filter, setFilter] = useState(denied.topic);
  const [subject, setSubject] = useState(own);
  const action = useAction();
  const wider = below(denied.topic);
  const roles = load.data?.roles ?? [];
  const add = async () => {
    await allow({ effect: "allow", subject, action: denied.action, filter });
    close();
  };
  return (
    <Dialog title={t.title(denied.device)} close={close}>
      <p>{t.did(denied.action, denied.topic)}</p>
      <Trouble error={load.error} />
      {load.loading && <Spinner />}
      <Form action={action} run={add} word={t.add}>
        <fieldset class="plain">
          <legend>{t.what}</legend>
          <Radio
            name="what"
            value={denied.topic}
            chosen={filter}
            set={setFilter}
            said={t.exactly(denied.topic)}
          />
          {wider && <Radio name="what" value={wider} chosen={filter} set={setFilter} said={t.below(wider)} />}
        </fieldset>
        <fieldset class="plain">
          <legend>{t.whom}</legend>
          <Radio name="whom" value={own} chosen={subject} set={setSubject} said={t.only(denied.device)} />
          {roles.map((r) => (
            <Radio
              key={r}
              name="whom"
              value={`role:${r}`}
              chosen={subject}
              set={setSubject}
              said={t.withRole(r)}
            />
          ))}
        </fieldset>
        <p class="small muted">
          {t.rule} <code>{`allow ${subject} ${denied.action} ${filter}`}</code>
        </p>
      </Form>
    </Dialog>
  );
}

/** Beside a denial: why, and where no rule forbids it on purpose, the way to allow it. */
export function DenialActions({ denied, operator }: { denied: Denied; operator: boolean }) {
  const [open, set] = useState(false);
  return (
    <>
      <Link class="small" href={whyHref(denied)}>
        {text.access.why}
      </Link>
      {operator && denied.rule === 0 && (
        <button class="plain small" onClick={() => set(true)}>
          {t.allow}
        </button>
      )}
      {open && <AllowDialog denied={denied} close={() => set(false)} />}
    </>
  );
}
