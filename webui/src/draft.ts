// SPDX-License-Identifier: Apache-2.0
// Rules that are being worked on: the saved ones with what was changed and nobody has applied. Told to the gateway as
// lines (man gatehouse, acl check --with), which it judges, previews and applies, all or none.
import type { Rule } from "./types";

export const ACTIONS = ["publish", "subscribe", "receive"] as const;
const PRIORITY_MAX = 1000;
const FILTER_MAX = 1024;

/** What a row says, as it stands in its cells. */
export interface Cells {
  effect: "allow" | "deny";
  subject: string;
  /** One of ACTIONS, several with commas between them, or "all". */
  action: string;
  filter: string;
  literal: boolean;
  priority: string;
  qos: string;
  retain: "" | "yes" | "no";
  networks: string;
}

export interface DraftRow {
  key: string;
  /** The saved rule that it is or replaces. */
  saved?: Rule;
  cells: Cells;
  removed: boolean;
}

export const EMPTY: Cells = {
  effect: "allow",
  subject: "",
  action: "publish",
  filter: "",
  literal: false,
  priority: "0",
  qos: "",
  retain: "",
  networks: "",
};

export function cellsOf(r: Rule): Cells {
  return {
    effect: r.effect,
    subject: r.subject,
    action: r.actions.length === ACTIONS.length ? "all" : r.actions.join(","),
    filter: r.filter,
    literal: r.literal,
    priority: String(r.priority),
    qos: r.qos ?? "",
    retain: r.retain === null ? "" : r.retain ? "yes" : "no",
    networks: r.networks.join(", "),
  };
}

export const rowOf = (r: Rule): DraftRow => ({
  key: String(r.id),
  saved: r,
  cells: cellsOf(r),
  removed: false,
});

const same = (a: Cells, b: Cells) => (Object.keys(a) as (keyof Cells)[]).every((k) => a[k] === b[k]);

export type Change = "" | "added" | "changed" | "removed";

export function changeOf(row: DraftRow): Change {
  if (!row.saved) return row.removed ? "" : "added";
  if (row.removed) return "removed";
  return same(row.cells, cellsOf(row.saved)) ? "" : "changed";
}

export function lineOf(c: Cells): string {
  const filter = /^[^\s"]\S*$/.test(c.filter) ? c.filter : `"${c.filter}"`;
  const list = (s: string) => s.split(/[\s,]+/).filter((x) => x !== "");
  return [
    c.effect,
    c.subject,
    c.action,
    filter,
    c.literal ? "literal" : "",
    Number(c.priority) !== 0 ? `priority ${c.priority.trim()}` : "",
    c.qos ? `qos ${list(c.qos).join(",")}` : "",
    c.retain ? `retain ${c.retain}` : "",
    c.networks.trim() ? `network ${list(c.networks).join(",")}` : "",
  ]
    .filter((s) => s !== "")
    .join(" ");
}

/** What the gateway is told, and which row each line is of (for what it says about "line 3"). */
export function linesOf(rows: readonly DraftRow[]): { lines: string[]; keys: string[] } {
  const lines: string[] = [];
  const keys: string[] = [];
  for (const row of rows) {
    const change = changeOf(row);
    if (row.saved && change !== "") {
      lines.push(`remove ${row.saved.id}`);
      keys.push(row.key);
    }
    if (change === "added" || change === "changed") {
      lines.push(lineOf(row.cells));
      keys.push(row.key);
    }
  }
  return { lines, keys };
}

/** The lines that take back what was applied: added are the rules that it made, rows what it was made of. */
export function undoLines(rows: readonly DraftRow[], added: readonly { id: number }[]): string[] {
  const gone = rows.filter((r) => ["changed", "removed"].includes(changeOf(r)));
  return [
    ...added.map((r) => `remove ${r.id}`),
    ...gone.flatMap((r) => (r.saved ? [lineOf(cellsOf(r.saved))] : [])),
  ];
}

export type Field = "subject" | "filter" | "priority" | "qos" | "networks";
/** Why a cell cannot be so: a key of text.access.wrong. */
export type Wrong =
  | "subject"
  | "filterEmpty"
  | "filterLong"
  | "filterPlus"
  | "filterHash"
  | "filterHashLast"
  | "priority"
  | "qos"
  | "networks";

function wrongFilter(filter: string, literal: boolean): Wrong | undefined {
  if (filter === "") return "filterEmpty";
  if (new TextEncoder().encode(filter).length > FILTER_MAX) return "filterLong";
  if (literal) return undefined;
  const levels = filter.split("/");
  if (levels.some((l) => l.length > 1 && l.includes("+"))) return "filterPlus";
  if (levels.some((l) => l.length > 1 && l.includes("#"))) return "filterHash";
  if (levels.slice(0, -1).includes("#")) return "filterHashLast";
  return undefined;
}

/** What can be seen to be wrong before the gateway is asked, which looks closer. */
export function wrongIn(c: Cells): Partial<Record<Field, Wrong>> {
  const found: Partial<Record<Field, Wrong>> = {};
  if (!/^(any|(device|group|role):[A-Za-z0-9][A-Za-z0-9._:@-]{0,63})$/.test(c.subject))
    found.subject = "subject";
  const filter = wrongFilter(c.filter, c.literal);
  if (filter) found.filter = filter;
  if (!/^-?\d+$/.test(c.priority.trim()) || Math.abs(Number(c.priority)) > PRIORITY_MAX)
    found.priority = "priority";
  if (c.qos.trim() !== "" && !/^[012]([\s,]+[012])*$/.test(c.qos.trim())) found.qos = "qos";
  if (
    c.networks.trim() !== "" &&
    !/^[0-9A-Fa-f.:]+(\/\d{1,3})?([\s,]+[0-9A-Fa-f.:]+(\/\d{1,3})?)*$/.test(c.networks.trim())
  )
    found.networks = "networks";
  return found;
}

/** "line 3: filter: it is empty" as the row it is about, and the sentence. */
export function placed(
  message: string,
  keys: readonly string[],
): { key: string; message: string } | undefined {
  const found = /^line (\d+): (.*)$/s.exec(message);
  const key = found ? keys[Number(found[1]) - 1] : undefined;
  return key === undefined ? undefined : { key, message: found?.[2] ?? "" };
}

const priorityOf = (r: DraftRow) => Number(r.cells.priority) || 0;

/** In the order of judging: the highest priority first, deny before allow where it is the same. The row that is held
 * stands where its cells would have it. */
export function inOrder(rows: readonly DraftRow[], held?: { key: string; cells: Cells }): DraftRow[] {
  const cells = (r: DraftRow) => (r.key === held?.key ? held.cells : r.cells);
  const priority = (r: DraftRow) => Number(cells(r).priority) || 0;
  const rank = (r: DraftRow) => (cells(r).effect === "deny" ? 0 : 1);
  return rows
    .map((row, i) => ({ row, i }))
    .sort((a, b) => priority(b.row) - priority(a.row) || rank(a.row) - rank(b.row) || a.i - b.i)
    .map((x) => x.row);
}

/** The priority with which a row is judged before (step -1) or behind (step 1) its neighbour in rows, which are in
 * order; undefined: it cannot. */
export function moved(rows: readonly DraftRow[], key: string, step: -1 | 1): string | undefined {
  const at = rows.findIndex((r) => r.key === key);
  const row = rows[at];
  let to = at + step;
  while (rows[to]?.removed) to += step;
  const other = rows[to];
  if (!row || !other) return undefined;
  const priority = priorityOf(other) - step;
  return Math.abs(priority) > PRIORITY_MAX ? undefined : String(priority);
}
