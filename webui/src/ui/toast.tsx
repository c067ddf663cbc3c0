// SPDX-License-Identifier: Apache-2.0
// Short notices at the edge of the window, with a way to undo where there is one.
import { useEffect, useRef, useState } from "preact/hooks";
import { text } from "../text";

interface Toast {
  id: number;
  message: string;
  undo?: () => void;
}

let next = 1;
let show: (t: Toast) => void = () => undefined;

export function toast(message: string, undo?: () => void): void {
  show({ id: next++, message, ...(undo ? { undo } : {}) });
}

const STAYS_MS = 8000;
const UNDO_STAYS_MS = 20000; // whoever works with the keyboard has to get there

export function Toasts() {
  const [list, set] = useState<Toast[]>([]);
  const box = useRef<HTMLDivElement>(null);
  const drop = (id: number) => set((l) => l.filter((t) => t.id !== id));
  useEffect(() => {
    show = (t) => {
      const stays = t.undo ? UNDO_STAYS_MS : STAYS_MS;
      const end = () => {
        // not under somebody's hand
        if (box.current?.matches(":hover, :focus-within")) setTimeout(end, STAYS_MS);
        else drop(t.id);
      };
      set((l) => [...l.slice(-3), t]);
      setTimeout(end, stays);
    };
  }, []);
  return (
    <div ref={box} class="toasts" role="status" aria-live="polite">
      {list.map((t) => (
        <div class="toast" key={t.id}>
          <span>{t.message}</span>
          {t.undo && (
            <button
              onClick={() => {
                t.undo?.();
                drop(t.id);
              }}
            >
              {text.undo}
            </button>
          )}
          <button class="dismiss" aria-label={text.close} onClick={() => drop(t.id)}>
            ×
          </button>
        </div>
      ))}
    </div>
  );
}
