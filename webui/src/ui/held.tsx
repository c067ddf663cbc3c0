// SPDX-License-Identifier: Apache-2.0
// A change of settings that the gateway undoes by itself unless somebody says that all is well.
import type { Answers } from "../types";
import { useEffect, useState } from "preact/hooks";
import { post, watch } from "../api";
import { useEvents, useReset } from "../live";
import { may, type Session } from "../session";
import { text } from "../text";
import { Trouble, useAction } from "./kit";
import { toast } from "./toast";

export type Hold = NonNullable<Answers["config.list"]["held"]>;

const t = text.held;

/** Seconds that the gateway waits for a person; long enough to log in at another address. */
export const WAIT = 60;

/** May a mistake in this setting lock people out? */
export function isRisky(key: string): boolean {
  return key.startsWith("admin.") || key.startsWith("listener.") || key.startsWith("gateway.name");
}

export function useCountdown(seconds: number, ended: () => void): number {
  const [end] = useState(() => Date.now() + seconds * 1000);
  const [left, set] = useState(seconds);
  useEffect(() => {
    const tick = setInterval(() => {
      const now = Math.max(0, Math.ceil((end - Date.now()) / 1000));
      set(now);
      if (now > 0) return;
      clearInterval(tick);
      setTimeout(ended, 1000);
    }, 250);
    return () => clearInterval(tick);
  }, []);
  return left;
}

const changed = new Set<() => void>();

/** A page changed a setting that may be held: the bar asks at once, whether the stream stands or not. */
export function settingsChanged(): void {
  changed.forEach((f) => f());
}

/** Calls f when settings are others than before, whoever changed them. */
export function useSettings(f: () => void): void {
  useEffect(() => {
    changed.add(f);
    return () => void changed.delete(f);
  });
  useEvents((e) => {
    if (e.event.startsWith("config.")) f();
  });
  useReset(f);
}

/** Above every page, in every tab, until somebody has decided or the time is over. */
export function HeldBar({ session }: { session: Session }) {
  const [hold, set] = useState<Hold | null>(null);
  const admin = may(session, "admin");
  const load = () => {
    if (admin)
      watch<Answers["config.list"]>("/config")
        .then((a) => set(a.held))
        .catch(() => undefined); // the next change asks again
  };
  useEffect(load, []);
  useSettings(load);
  if (!hold) return null;
  return (
    <div class="held">
      <Held key={`${hold.token} ${hold.seconds}`} hold={hold} done={settingsChanged} />
    </div>
  );
}

function Held({ hold, done }: { hold: Hold; done: () => void }) {
  const left = useCountdown(hold.seconds, done);
  const action = useAction();
  const answer = (keep: boolean) =>
    action.run(async () => {
      await post("/config/confirm", { token: hold.token, keep });
      toast(keep ? t.kept : t.undone);
      done();
    });
  return (
    <section class="alert warn stack" aria-label={t.title}>
      <div>
        <strong>{t.title}</strong>
        <div>
          {t.hint} <code>{hold.keys.join(", ")}</code>
        </div>
      </div>
      <div class="row">
        <button class="primary" disabled={action.busy} onClick={() => answer(true)}>
          {t.keep}
        </button>
        <button disabled={action.busy} onClick={() => answer(false)}>
          {t.undo}
        </button>
        <span class="muted" role="timer">
          {t.left(left)}
        </span>
      </div>
      <Trouble error={action.error} />
    </section>
  );
}
