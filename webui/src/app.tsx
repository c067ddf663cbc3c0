// SPDX-License-Identifier: Apache-2.0
// Which page to show: the first visit, logging in, or one of the table below, loaded when it is asked for.
import type { ComponentType } from "preact";
import { useEffect, useState } from "preact/hooks";
import { onEnded } from "./api";
import * as live from "./live";
import { Login } from "./pages/login";
import { SetupPage } from "./pages/setup";
import { navigate, usePlace, type Place } from "./router";
import { current, logout, setupState, type Session, type Setup } from "./session";
import { Shell, type MenuEntry } from "./shell";
import { text } from "./text";
import { explain, Link, Spinner, Trouble } from "./ui/kit";
import { Toasts } from "./ui/toast";

export interface PageProps {
  place: Place;
  session: Session;
  setup: Setup;
}

type Loader = () => Promise<{ default: ComponentType<PageProps> }>;

interface Entry extends MenuEntry {
  load: Loader;
}

/** Pages by the first part of their path. */
const entries: Entry[] = [
  { href: "/", title: text.menu.overview, load: () => import("./pages/overview") },
  { href: "/devices", title: text.menu.devices, load: () => import("./pages/devices") },
  { href: "/certificates", title: text.menu.certificates, load: () => import("./pages/certificates") },
  { href: "/access", title: text.menu.access, load: () => import("./pages/access") },
  { href: "/events", title: text.menu.anomalies, load: () => import("./pages/events") },
  { href: "/check", title: text.menu.check, load: () => import("./pages/check") },
  { href: "/test", title: text.menu.test, load: () => import("./pages/test") },
  { href: "/gateway", title: text.menu.gateway, load: () => import("./pages/gateway") },
  { href: "/help", title: text.menu.help, load: () => import("./pages/help") },
];
const hidden: Entry[] = [
  { href: "/add-device", title: text.devices.add, load: () => import("./pages/add-device") },
  { href: "/import-devices", title: text.bulk.title, load: () => import("./pages/devices-import") },
  { href: "/account", title: text.menu.account, load: () => import("./pages/account") },
];

function entryOf(place: Place): Entry | undefined {
  const first = `/${place.parts[0] ?? ""}`;
  return [...entries, ...hidden].find((e) => e.href === first);
}

function Page(props: PageProps) {
  const entry = entryOf(props.place);
  const [shown, set] = useState<{ href: string; View: ComponentType<PageProps> } | undefined>();
  const [error, setError] = useState<unknown>();
  useEffect(() => {
    if (!entry) return;
    let live = true;
    setError(undefined);
    entry
      .load()
      .then((m) => live && set({ href: entry.href, View: m.default }))
      .catch((e: unknown) => live && setError(e));
    document.title = `${entry.title} – ${text.product}`;
    return () => {
      live = false;
    };
  }, [entry?.href]);
  if (!entry)
    return (
      <>
        <h1>{text.missing.title}</h1>
        <Link href="/">{text.missing.back}</Link>
      </>
    );
  if (error !== undefined) return <Trouble error={error} retry={() => location.reload()} />;
  if (shown?.href !== entry.href) return <Spinner />;
  return <shown.View {...props} />;
}

type State =
  | { at: "start" }
  | { at: "trouble"; error: unknown }
  | { at: "setup"; setup: Setup }
  | { at: "login"; setup: Setup; ended: boolean }
  | { at: "inside"; setup: Setup; session: Session };

async function begin(): Promise<State> {
  const setup = await setupState();
  const session = await current();
  if (session) return { at: "inside", setup, session };
  return setup.administrators ? { at: "login", setup, ended: false } : { at: "setup", setup };
}

export function App() {
  const [state, set] = useState<State>({ at: "start" });
  const place = usePlace();
  const start = () => {
    begin()
      .then(set)
      .catch((error: unknown) => set({ at: "trouble", error }));
  };
  const ended = () => set((s) => (s.at === "inside" ? { at: "login", setup: s.setup, ended: true } : s));
  useEffect(() => {
    onEnded(ended);
    start();
  }, []);
  const inside = state.at === "inside";
  useEffect(() => {
    if (!inside) return;
    live.start(ended);
    return live.stop;
  }, [inside]);
  const leave = () => {
    set({ at: "start" }); // nothing of the session asks any more
    void logout()
      .catch(() => undefined)
      .then(() => {
        navigate("/");
        start();
      });
  };
  switch (state.at) {
    case "start":
      return (
        <main class="alone">
          <Spinner />
        </main>
      );
    case "trouble":
      return (
        <main class="alone">
          <div class="card stack">
            <h1>{text.product}</h1>
            <p>{explain(state.error)}</p>
            <button onClick={start}>{text.retry}</button>
          </div>
        </main>
      );
    case "setup":
      return (
        <SetupPage
          state={state.setup}
          done={(session) => set({ at: "inside", setup: { ...state.setup, administrators: true }, session })}
        />
      );
    case "login":
      return (
        <Login ended={state.ended} done={(session) => set({ at: "inside", setup: state.setup, session })} />
      );
    case "inside":
      return (
        <Shell
          gateway={state.setup.gateway}
          session={state.session}
          place={place}
          menu={entries}
          leave={leave}
        >
          <Page place={place} session={state.session} setup={state.setup} />
          <Toasts />
        </Shell>
      );
  }
}
