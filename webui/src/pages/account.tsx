// SPDX-License-Identifier: Apache-2.0
// One's own account: password, second factor, and where one is logged in.
import { useState } from "preact/hooks";
import type { PageProps } from "../app";
import { del, post, put } from "../api";
import { browser } from "../format";
import type { Session } from "../session";
import { text } from "../text";
import type { Answers, Row } from "../types";
import { Alert, Badge, type Column, Copy, Form, Input, Time, Trouble, useAction, wrong } from "../ui/kit";
import { Listing, usePages } from "../ui/pages";
import { Qr } from "../ui/qr";
import { toast } from "../ui/toast";

const t = text.account;

function Password() {
  const [old, setOld] = useState("");
  const [password, setPassword] = useState("");
  const [again, setAgain] = useState("");
  const action = useAction();
  const differ = again !== "" && again !== password;
  const change = async () => {
    if (password !== again) return;
    await put("/session/password", { old, password });
    setOld("");
    setPassword("");
    setAgain("");
    toast(t.passwordSet);
  };
  return (
    <section class="card stack" aria-label={t.password}>
      <h2>{t.password}</h2>
      <Form action={action} run={change} word={text.save}>
        <Input
          label={t.old}
          type="password"
          value={old}
          set={setOld}
          autocomplete="current-password"
          required
        />
        <Input
          label={t.new}
          hint={text.gateway.passwordHint}
          type="password"
          value={password}
          set={setPassword}
          autocomplete="new-password"
          required
        />
        <Input
          label={text.setup.again}
          type="password"
          value={again}
          set={setAgain}
          error={differ ? text.setup.differ : ""}
          autocomplete="new-password"
          required
        />
      </Form>
    </section>
  );
}

type Pending = Answers["totp.add"];

function Factor({ session }: { session: Session }) {
  const [has, setHas] = useState(session.totp);
  const [password, setPassword] = useState("");
  const [pending, setPending] = useState<Pending>();
  const [code, setCode] = useState("");
  const [recovery, setRecovery] = useState<string[]>([]);
  const action = useAction();
  const begin = async () => {
    if (has) {
      await post("/session/totp/remove", { password });
      setHas(false);
      toast(t.factorGone);
    } else {
      setPending(await post<Pending>("/session/totp", { password }));
    }
    setPassword("");
  };
  const confirm = async () => {
    const answer = await put<Answers["totp.set"]>("/session/totp", { code });
    setRecovery(answer.recovery_codes);
    setPending(undefined);
    setHas(true);
    setCode("");
  };
  return (
    <section class="card stack" aria-label={t.factor}>
      <div class="row apart">
        <h2>{t.factor}</h2>
        <Badge tone={has ? "good" : "warn"}>{has ? t.on : t.off}</Badge>
      </div>
      <p class="muted">{t.factorHint}</p>
      {recovery.length > 0 && (
        <>
          <Alert tone="warn">{t.recoveryHint}</Alert>
          <Copy value={recovery.join("\n")} label={t.recovery} />
        </>
      )}
      {!pending && (
        <Form
          action={action}
          run={begin}
          fields={["password"]}
          word={has ? t.removeFactor : t.addFactor}
          danger={has}
        >
          <Input
            label={t.old}
            type="password"
            value={password}
            set={setPassword}
            error={wrong(action.error, "password")}
            autocomplete="current-password"
            required
          />
        </Form>
      )}
      {pending && (
        <Form action={action} run={confirm} fields={["code"]} word={t.confirm}>
          <p>{t.scan}</p>
          <Qr value={pending.uri} label={t.qr} />
          <Copy value={pending.secret} label={t.secret} />
          <Input
            label={text.login.code}
            value={code}
            set={setCode}
            error={wrong(action.error, "code")}
            autocomplete="one-time-code"
            required
            autofocus
          />
        </Form>
      )}
    </section>
  );
}

type Open = Row<"session.list">;

function Sessions() {
  const list = usePages<Open>("/sessions", {});
  const action = useAction();
  const end = (s: Open) =>
    action.run(async () => {
      await del(`/sessions/${s.id}`);
      list.reload();
    });
  const columns: Column<Open>[] = [
    { title: t.from, cell: (s) => s.source },
    { title: t.browser, cell: (s) => <span title={s.agent}>{browser(s.agent)}</span> },
    { title: t.since, cell: (s) => <Time at={s.created} /> },
    { title: t.seen, cell: (s) => <Time at={s.seen} /> },
    {
      title: t.end,
      cell: (s) =>
        s.current ? (
          <Badge tone="good">{t.this}</Badge>
        ) : (
          <button disabled={action.busy} onClick={() => end(s)}>
            {t.end}
          </button>
        ),
    },
  ];
  return (
    <section class="stack" aria-label={t.sessions}>
      <h2>{t.sessions}</h2>
      <Trouble error={action.error} />
      <Listing label={t.sessions} list={list} columns={columns} name={(s) => s.id} />
    </section>
  );
}

export default function Account({ session }: PageProps) {
  return (
    <>
      <h1>{t.title(session.name)}</h1>
      <div class="columns">
        <Password />
        <Factor session={session} />
      </div>
      <Sessions />
    </>
  );
}
