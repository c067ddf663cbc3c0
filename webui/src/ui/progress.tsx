// SPDX-License-Identifier: Apache-2.0
// How far long work is.
import { text } from "../text";

export function Progress({ done, all, label }: { done: number; all: number; label: string }) {
  return (
    <div class="progress">
      <progress value={done} max={Math.max(all, 1)} aria-label={label} />
      <span class="small">{text.bulk.running(done, all)}</span>
    </div>
  );
}
