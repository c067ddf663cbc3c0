// SPDX-License-Identifier: Apache-2.0
// The frame of every page: menu, colours, who is logged in.
import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import icon from "./icon.svg";
import { type Place } from "./router";
import type { Session } from "./session";
import { text } from "./text";
import { setTheme, theme, type Theme } from "./theme";
import { HeldBar } from "./ui/held";
import { arrows, Link } from "./ui/kit";

export interface MenuEntry {
  href: string;
  title: string;
}

function isHere(place: Place, href: string): boolean {
  return href === "/" ? place.path === "/" : place.path === href || place.path.startsWith(`${href}/`);
}

function ThemeChoice() {
  const [now, set] = useState<Theme>(theme());
  const t = text.menu.theme;
  return (
    <label class="small">
      <span class="visually-hidden">{t.label}</span>
      <select
        value={now}
        onChange={(e) => {
          const v = e.currentTarget.value as Theme;
          setTheme(v);
          set(v);
        }}
      >
        <option value="system">{`${t.label}: ${t.system}`}</option>
        <option value="light">{`${t.label}: ${t.light}`}</option>
        <option value="dark">{`${t.label}: ${t.dark}`}</option>
      </select>
    </label>
  );
}

export function Shell(props: {
  gateway: string;
  session: Session;
  place: Place;
  menu: MenuEntry[];
  leave: () => void;
  children: ComponentChildren;
}) {
  const [open, setOpen] = useState(false);
  const button = useRef<HTMLButtonElement>(null);
  const { path } = props.place;
  const here = props.menu.find((m) => isHere(props.place, m.href))?.title ?? "";
  const before = useRef(path);
  useEffect(() => {
    if (before.current === path) return;
    before.current = path;
    // The link that was followed may be gone with its page: the keyboard then begins with the new one.
    if (document.activeElement === null || document.activeElement === document.body)
      document.getElementById("content")?.focus({ preventScroll: true });
  }, [path]);
  const escape = (e: KeyboardEvent) => {
    if (e.key !== "Escape" || !open) return;
    setOpen(false);
    button.current?.focus();
  };
  return (
    <div class="frame">
      <a class="skip" href="#content">
        {text.skip}
      </a>
      <header class={open ? "side open" : "side"} onKeyDown={escape}>
        <div class="row">
          <Link class="brand" href="/">
            <img src={icon} alt="" /> {text.product}
          </Link>
          <button ref={button} class="menu-button" aria-expanded={open} onClick={() => setOpen(!open)}>
            {text.menu.open}
          </button>
        </div>
        <nav aria-label={text.menu.label} onClick={() => setOpen(false)} onKeyDown={arrows}>
          {props.menu.map((m) => (
            <Link key={m.href} href={m.href} aria-current={isHere(props.place, m.href) ? "page" : undefined}>
              {m.title}
            </Link>
          ))}
        </nav>
        <div class="foot">
          <span class="small muted">{props.gateway}</span>
          <Link class="small" href="/account">
            {`${props.session.name} (${props.session.level})`}
          </Link>
          <ThemeChoice />
          <button onClick={props.leave}>{text.menu.logout}</button>
        </div>
      </header>
      <span class="visually-hidden" role="status">
        {here}
      </span>
      <main class="content" id="content" tabIndex={-1}>
        <HeldBar session={props.session} />
        {props.children}
      </main>
    </div>
  );
}
