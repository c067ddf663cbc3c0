// SPDX-License-Identifier: Apache-2.0
// The first visit: a setup code makes the first administrator.
import { useState } from "preact/hooks";
import { setUp, type Session, type Setup } from "../session";
import { text } from "../text";
import { Alert, Input, Trouble, useAction, wrong } from "../ui/kit";

const t = text.setup;

export function SetupPage({ state, done }: { state: Setup; done: (s: Session) => void }) {
  const [code, setCode] = useState("");
  const [name, setName] = useState("");
  const [password, setPassword] = useState("");
  const [again, setAgain] = useState("");
  const action = useAction();
  const differ = again !== "" && again !== password;
  const known = ["code", "name", "password"].some((f) => wrong(action.error, f) !== "");
  const submit = (e: Event) => {
    e.preventDefault();
    if (password === again) action.run(async () => done(await setUp(code, name, password)));
  };
  return (
    <main class="alone" id="content">
      <div class="card stack">
        <h1>{t.title}</h1>
        <p>{t.intro}</p>
        <Alert>{t.fingerprint}</Alert>
        {!state.code && <Alert tone="warn">{t.noCode}</Alert>}
        <form class="form" onSubmit={submit}>
          <Input
            label={t.code}
            hint={t.codeHint}
            value={code}
            set={setCode}
            error={wrong(action.error, "code")}
            autocomplete="off"
            required
            autofocus
          />
          <Input
            label={t.name}
            hint={t.nameHint}
            value={name}
            set={setName}
            error={wrong(action.error, "name")}
            autocomplete="username"
            maxLength={64}
            required
          />
          <Input
            label={t.password}
            hint={t.passwordHint}
            type="password"
            value={password}
            set={setPassword}
            error={wrong(action.error, "password")}
            autocomplete="new-password"
            required
          />
          <Input
            label={t.again}
            type="password"
            value={again}
            set={setAgain}
            error={differ ? t.differ : ""}
            autocomplete="new-password"
            required
          />
          {!known && <Trouble error={action.error} />}
          <button class="primary" disabled={action.busy}>
            {t.submit}
          </button>
        </form>
      </div>
    </main>
  );
}
