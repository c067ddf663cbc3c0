// SPDX-License-Identifier: Apache-2.0
// Short notices at the edge of the window, with a way to undo where there is one.
import { useEffect, useState } from "preact/hooks";
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

export function Toasts() {
  const [list, set] = useState<Toast[]>([]);
  const drop = (id: number) => set((l) => l.filter((t) => t.id !== id));
  useEffect(() => {
    show = (t) => {
      set((l) => [...l.slice(-3), t]);
      setTimeout(() => drop(t.id), STAYS_MS);
    };
  }, []);
  return (
    <div class="toasts" role="status" aria-live="polite">
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
        </div>
      ))}
    </div>
  );
}
