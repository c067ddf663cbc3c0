// SPDX-License-Identifier: Apache-2.0
// Logging in; the second factor is asked for when the password was right.
import { useState } from "preact/hooks";
import { login, type Session } from "../session";
import { text } from "../text";
import { Alert, Input, Trouble, useAction, wrong } from "../ui/kit";

export function Login({ ended, done }: { ended: boolean; done: (s: Session) => void }) {
  const [name, setName] = useState("");
  const [password, setPassword] = useState("");
  const [code, setCode] = useState("");
  const action = useAction();
  const asksCode = code !== "" || wrong(action.error, "code") !== "";
  const submit = (e: Event) => {
    e.preventDefault();
    action.run(async () => done(await login(name, password, code)));
  };
  return (
    <main class="alone" id="content">
      <div class="card stack">
        <h1>{text.login.title}</h1>
        {ended && action.error === undefined && <Alert>{text.login.ended}</Alert>}
        <form class="form" onSubmit={submit}>
          <Input
            label={text.login.name}
            value={name}
            set={setName}
            autocomplete="username"
            required
            autofocus
          />
          <Input
            label={text.login.password}
            type="password"
            value={password}
            set={setPassword}
            autocomplete="current-password"
            required
          />
          {asksCode && (
            <Input
              label={text.login.code}
              hint={text.login.codeHint}
              value={code}
              set={setCode}
              autocomplete="one-time-code"
              autofocus
            />
          )}
          <Trouble error={action.error} />
          <button class="primary" disabled={action.busy}>
            {text.login.submit}
          </button>
        </form>
      </div>
    </main>
  );
}
