// SPDX-License-Identifier: Apache-2.0
// The security check: what a careful person would change here, each with its cure; what was accepted, and why.
import { useState } from "preact/hooks";
import type { PageProps } from "../app";
import { del, get, put, segment } from "../api";
import { may } from "../session";
import { text } from "../text";
import type { Finding, SecurityCheck } from "../types";
import {
  Badge,
  Copy,
  Dialog,
  Empty,
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
} from "../ui/kit";
import { toast } from "../ui/toast";

const t = text.check;

const tones: Record<Finding["severity"], Tone> = { critical: "bad", high: "bad", medium: "warn", low: "" };

export function scoreTone(check: SecurityCheck): Tone {
  if (check.open.critical > 0 || check.open.high > 0) return "bad";
  return check.open.medium > 0 ? "warn" : "good";
}

function Mute({ finding, close, done }: { finding: Finding; close: () => void; done: () => void }) {
  const [reason, set] = useState("");
  const action = useAction();
  const mute = async () => {
    await put(`/security/${segment(finding.id)}/mute`, { reason });
    toast(t.isMuted);
    done();
    close();
  };
  return (
    <Dialog title={t.muteTitle} close={close}>
      <Form action={action} run={mute} fields={["reason"]} word={t.mute}>
        <p>{finding.what}</p>
        <Input
          label={t.reason}
          hint={t.reasonHint}
          value={reason}
          set={set}
          error={wrong(action.error, "reason")}
          maxLength={256}
          required
          autofocus
        />
      </Form>
    </Dialog>
  );
}

function Card(props: { finding: Finding; admin: boolean; mute: () => void; changed: () => void }) {
  const f = props.finding;
  const action = useAction();
  const unmute = () =>
    action.run(async () => {
      await del(`/security/${segment(f.id)}/mute`);
      props.changed();
    });
  const more = f.count - f.objects.length;
  return (
    <li class="card stack">
      <div class="row apart">
        <div class="row">
          <Badge tone={f.muted ? "" : tones[f.severity]}>{f.muted ? t.muted : t.severity[f.severity]}</Badge>
          <code class="small">{f.id}</code>
        </div>
        {props.admin &&
          (f.muted ? (
            <button disabled={action.busy} onClick={unmute}>
              {t.unmute}
            </button>
          ) : (
            <button onClick={props.mute}>{t.mute}</button>
          ))}
      </div>
      <h3>{f.what}</h3>
      {f.objects.length > 0 && (
        <p class="small mono">{f.objects.join(", ") + (more > 0 ? ` ${t.more(more)}` : "")}</p>
      )}
      {f.muted ? (
        <p class="small muted">
          {t.mutedBy(f.muted.by, f.muted.reason)} <Time at={f.muted.at} />
        </p>
      ) : (
        <>
          <p>
            {f.fix} {f.page && <Link href={f.page}>{t.go}</Link>}
          </p>
          {f.command && <Copy value={f.command} label={t.command(f.id)} />}
        </>
      )}
      <Trouble error={action.error} />
    </li>
  );
}

export default function Check({ session }: PageProps) {
  const check = useLoad((signal) => get<SecurityCheck>("/security", {}, signal), []);
  const [muting, setMuting] = useState<Finding>();
  const c = check.data;
  return (
    <>
      <div class="row apart">
        <h1>{t.title}</h1>
        <button disabled={check.loading} onClick={check.reload}>
          {t.again}
        </button>
      </div>
      <Trouble error={check.error} retry={check.reload} />
      {check.loading && !c && <Spinner />}
      {c && (
        <section class="card row apart" aria-label={t.score}>
          <div class="stack">
            <h2 class="small muted">
              {t.score} <span class={`dot ${scoreTone(c)}`} aria-hidden="true" />
            </h2>
            <div class="figure">{t.of(c.score)}</div>
          </div>
          <p class="muted">
            {t.looked(c.checks, c.findings.length)} <Time at={c.checked} />
          </p>
        </section>
      )}
      {c && c.findings.length === 0 && (
        <div class="card">
          <Empty title={t.fine}>{t.fineHint}</Empty>
        </div>
      )}
      {c && c.findings.length > 0 && (
        <section aria-label={t.findings}>
          <h2 class="visually-hidden">{t.findings}</h2>
          <ul class="plain stack">
            {c.findings.map((f) => (
              <Card
                key={f.id}
                finding={f}
                admin={may(session, "admin")}
                mute={() => setMuting(f)}
                changed={check.reload}
              />
            ))}
          </ul>
        </section>
      )}
      {muting && <Mute finding={muting} close={() => setMuting(undefined)} done={check.reload} />}
    </>
  );
}
