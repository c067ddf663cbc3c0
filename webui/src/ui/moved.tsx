// SPDX-License-Identifier: Apache-2.0
// What is left to do after a change that may have cut off this very page: where it goes on, and when all is as before.
import { text } from "../text";
import { useCountdown, WAIT } from "./held";
import { Dialog } from "./kit";

const t = text.moved;

export interface Move {
  /** What the gateway says of it. */
  warning: string;
  /** The addresses of the interface now, as admin.bind has them; empty: they are the same. */
  bind: string;
}

/** Where a browser that reaches the gateway as host finds the interface. */
export function places(bind: string, host: string): string[] {
  const all = bind.split(",").map((one) => {
    const at = /^(.*):(\d+)$/.exec(one.trim());
    if (!at?.[1] || !at[2]) return "";
    const name = ["*", "0.0.0.0", "[::]"].includes(at[1]) ? host : at[1];
    return `https://${name}${at[2] === "443" ? "" : `:${at[2]}`}`;
  });
  return [...new Set(all.filter((p) => p !== ""))];
}

export function Moved({ move, close }: { move: Move; close: () => void }) {
  const left = useCountdown(WAIT, () => location.reload());
  const links = places(move.bind, location.hostname);
  return (
    <Dialog title={t.title} close={close}>
      <p>{t.why(move.warning)}</p>
      <p>{links.length > 0 ? t.goOn : t.elsewhere}</p>
      {links.map((link) => (
        <p key={link}>
          <a href={`${link}/gateway`}>{link}</a>
        </p>
      ))}
      <p class="muted" role="timer">
        {t.left(left)}
      </p>
    </Dialog>
  );
}
