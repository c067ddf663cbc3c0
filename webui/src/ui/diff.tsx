// SPDX-License-Identifier: Apache-2.0
// What a change did to its objects: a line for what was and one for what is.
import { text } from "../text";
import type { Difference } from "../types";
import { Badge, type Tone } from "./kit";

const tones: Record<Difference["change"], Tone> = { added: "good", changed: "accent", removed: "bad" };

function said(value: unknown): string {
  return typeof value === "string" ? value : JSON.stringify(value);
}

function Side({ was, field, value }: { was: boolean; field: string; value: unknown }) {
  if (value === null) return null;
  return (
    <div class={was ? "was" : "is"}>
      <span aria-hidden="true">{was ? "− " : "+ "}</span>
      <span class="visually-hidden">{was ? text.diff.was : text.diff.is} </span>
      {field}: {said(value)}
    </div>
  );
}

export function Differences({ items, leftOut }: { items: Difference[]; leftOut: number }) {
  return (
    <div class="stack">
      {items.map((d) => (
        <section key={`${d.kind} ${d.object}`} class="diff" aria-label={`${d.kind} ${d.object}`}>
          <div class="row">
            <strong>
              {text.diff.kinds[d.kind] ?? d.kind} {d.object}
            </strong>
            <Badge tone={tones[d.change]}>{text.diff[d.change]}</Badge>
          </div>
          {d.fields.map((f) => (
            <div key={f.field}>
              <Side was field={f.field} value={f.before} />
              <Side was={false} field={f.field} value={f.after} />
            </div>
          ))}
        </section>
      ))}
      {leftOut > 0 && <p class="muted">{text.diff.more(leftOut)}</p>}
    </div>
  );
}
