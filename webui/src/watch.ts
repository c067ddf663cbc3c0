// SPDX-License-Identifier: Apache-2.0
// Messages as they are published: a watch of the gateway and its stream, begun anew when it breaks.
import { useEffect, useState } from "preact/hooks";
import { del, post } from "./api";
import type { Answers, Message, Row } from "./types";

export type Published = Row<"watch.show">;

export interface Wish {
  filter: string;
  device?: string;
  as?: string;
}

interface Hooks {
  message: (m: Published) => void;
  /** How many were left out since this watch began. */
  dropped: (n: number) => void;
  /** undefined: it stands. */
  trouble: (e: unknown) => void;
}

const AGAIN_MS = 2000;

/** Watches until the function that it returns is called. */
export function watch(wish: Wish, hooks: Hooks): () => void {
  let over = false;
  let source: EventSource | undefined;
  let id = 0;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const end = () => {
    source?.close();
    source = undefined;
    if (id) void del(`/watches/${id}`).catch(() => undefined);
    id = 0;
  };
  const again = () => {
    end();
    if (!over) timer = setTimeout(begin, AGAIN_MS);
  };
  function begin(): void {
    post<Answers["watch.start"]>("/watches", { ...wish })
      .then((made) => {
        id = made.id;
        if (over) {
          end();
          return;
        }
        const opened = new EventSource(`/api/v1/watches/${id}/stream`);
        source = opened;
        opened.onopen = () => hooks.trouble(undefined);
        opened.addEventListener("message", (e: MessageEvent<string>) =>
          hooks.message(JSON.parse(e.data) as Published),
        );
        opened.addEventListener("dropped", (e: MessageEvent<string>) => hooks.dropped(Number(e.data)));
        opened.addEventListener("ended", again);
        opened.onerror = again;
      })
      .catch((e: unknown) => {
        hooks.trouble(e);
        again();
      });
  }
  begin();
  return () => {
    over = true;
    clearTimeout(timer);
    end();
  };
}

/** The newest message of a device, while the component stands. */
export function useLastOf(device: string): { last: Published | undefined; count: number } {
  const [state, set] = useState<{ last: Published | undefined; count: number }>({
    last: undefined,
    count: 0,
  });
  useEffect(
    () =>
      watch(
        { filter: "#", device },
        {
          message: (last) => set((s) => ({ last, count: s.count + 1 })),
          dropped: () => undefined,
          trouble: () => undefined,
        },
      ),
    [device],
  );
  return state;
}

export type Shape = "text" | "json" | "hex";

/** Bytes as "68 65 6c" in rows of sixteen. */
function spaced(hex: string): string {
  const pairs = hex.match(/../g) ?? [];
  const rows: string[] = [];
  for (let i = 0; i < pairs.length; i += 16) rows.push(pairs.slice(i, i + 16).join(" "));
  return rows.join("\n");
}

function hexOf(text: string): string {
  return Array.from(new TextEncoder().encode(text), (b) => b.toString(16).padStart(2, "0")).join("");
}

/** What a message says, in the shape that was chosen; what has no such shape is shown as it is. */
export function show(m: Message, shape: Shape): string {
  if (shape === "hex" || m.text === null) return spaced(m.hex ?? hexOf(m.text ?? ""));
  if (shape === "json")
    try {
      return JSON.stringify(JSON.parse(m.text), null, 2);
    } catch {
      return m.text;
    }
  return m.text;
}

export interface Node {
  /** This level. */
  level: string;
  /** The topic up to here. */
  topic: string;
  message: Message | undefined;
  /** Messages seen here and below. */
  count: number;
  children: Node[];
}

const LEVELS_MAX = 32;

/** The topics as a tree, in the order of their names. */
export function treeOf(messages: ReadonlyMap<string, Message>, counts: ReadonlyMap<string, number>): Node[] {
  const root: Node = { level: "", topic: "", message: undefined, count: 0, children: [] };
  for (const topic of [...messages.keys()].sort()) {
    let at = root;
    topic.split("/", LEVELS_MAX).forEach((level, i, levels) => {
      let next = at.children.find((n) => n.level === level);
      if (!next) {
        const path = levels.slice(0, i + 1).join("/");
        next = { level, topic: path, message: undefined, count: 0, children: [] };
        at.children.push(next);
      }
      at = next;
      at.count += counts.get(topic) ?? 0;
    });
    at.message = messages.get(topic);
  }
  return root.children;
}
