// SPDX-License-Identifier: Apache-2.0
// Many devices at once: a table of them judged before anything is done, and work on many things with its progress.
import { CsvError, readCsv } from "./csv";
import { text } from "./text";

const t = text.bulk.wrong;

export type Default = "code" | "password" | "nothing";

export interface Wrong {
  field: string;
  message: string;
}

/** A line of the table: what the device is to be, and what is wrong with it. */
export interface Wish {
  line: number;
  name: string;
  kind: string;
  groups: string[];
  roles: string[];
  note: string;
  profile: string;
  network: string;
  /** "" for none; "make" for one that the page makes; else the password itself. */
  password: string;
  code: boolean;
  wrong: Wrong[];
}

export interface Table {
  wishes: Wish[];
  /** Titles of columns that an export has and nobody can set. */
  leftOut: string[];
  /** What is wrong with the whole, or "". */
  problem: string;
}

/** What there is on the gateway; undefined while it is not known. */
export interface Known {
  roles?: ReadonlySet<string>;
  profiles?: ReadonlySet<string>;
  devices?: ReadonlySet<string>;
}

/** The same titles as `gatehouse enrol csv`, and two more. */
const columns: Record<string, string> = {
  name: "name",
  kind: "kind",
  group: "groups",
  groups: "groups",
  role: "roles",
  roles: "roles",
  note: "note",
  profile: "profile",
  network: "network",
  password: "password",
  certificate: "certificate",
  // The title that "gatehouse device import" knows it by.
  code: "certificate",
};
/** Further columns of the list as the page saves it. */
export const shownOnly = [
  "enabled",
  "connected",
  "last_seen",
  "has_password",
  "certificates",
  "certificate_end",
  "added",
];

export const ROWS_MAX = 20000;
const NAME = /^[A-Za-z0-9][A-Za-z0-9._:@-]{0,63}$/;
const MEMBERSHIPS_MAX = 32;
const KIND_MAX = 32;
const NOTE_MAX = 256;
const PASSWORD_MIN = 8;
const PASSWORD_MAX = 511;
const NETWORK = /^[0-9a-fA-F.:]+(\/\d{1,3})?$/;

const bytes = (s: string) => new TextEncoder().encode(s).length;
const words = (s: string) => s.split(/[\s,;]+/).filter((w) => w !== "");

function readPassword(value: string): string {
  if (/^(no|none|)$/i.test(value)) return "";
  return /^(yes|make)$/i.test(value) ? "make" : value;
}

/** undefined: it is none of the words. */
function readCertificate(value: string): boolean | undefined {
  if (/^(code|yes)$/i.test(value)) return true;
  return /^(no|none|)$/i.test(value) ? false : undefined;
}

function judgeList(field: string, list: string[], wrong: Wrong[]): void {
  if (list.length > MEMBERSHIPS_MAX)
    wrong.push({ field, message: t.many(field, list.length, MEMBERSHIPS_MAX) });
  for (const name of list) if (!NAME.test(name)) wrong.push({ field, message: t.name(field, name) });
}

function judge(w: Wish, seen: Map<string, number>, known: Known): void {
  const wrong = w.wrong;
  const before = seen.get(w.name);
  if (w.name === "") wrong.push({ field: "name", message: t.noName });
  else if (!NAME.test(w.name)) wrong.push({ field: "name", message: t.name("name", w.name) });
  else if (before !== undefined) wrong.push({ field: "name", message: t.twice(w.name, before) });
  else if (known.devices?.has(w.name)) wrong.push({ field: "name", message: t.exists(w.name) });
  if (before === undefined) seen.set(w.name, w.line);
  for (const [field, value, max] of [
    ["kind", w.kind, KIND_MAX],
    ["note", w.note, NOTE_MAX],
  ] as const)
    if (bytes(value) > max) wrong.push({ field, message: t.long(field, bytes(value), max) });
  judgeList("groups", w.groups, wrong);
  judgeList("roles", w.roles, wrong);
  for (const role of w.roles)
    if (known.roles && NAME.test(role) && !known.roles.has(role))
      wrong.push({ field: "roles", message: t.noRole(role) });
  const n = bytes(w.password);
  if (w.password !== "" && w.password !== "make" && (n < PASSWORD_MIN || n > PASSWORD_MAX))
    wrong.push({ field: "password", message: t.password(n, PASSWORD_MIN, PASSWORD_MAX) });
  for (const field of ["profile", "network"] as const)
    if (w[field] !== "" && !w.code) wrong.push({ field, message: t.onlyCode(field) });
  if (w.profile !== "" && w.code && known.profiles && !known.profiles.has(w.profile))
    wrong.push({ field: "profile", message: t.noProfile(w.profile) });
  if (w.network !== "" && !NETWORK.test(w.network))
    wrong.push({ field: "network", message: t.network(w.network) });
}

function readWish(line: number, cells: Map<string, string>, byDefault: Default): Wish {
  const cell = (name: string) => cells.get(name) ?? "";
  const said = cell("password") !== "" || cell("certificate") !== "";
  const code = readCertificate(cell("certificate"));
  const wish: Wish = {
    line,
    name: cell("name"),
    kind: cell("kind"),
    groups: words(cell("groups")),
    roles: words(cell("roles")),
    note: cell("note"),
    profile: cell("profile"),
    network: cell("network"),
    password: said ? readPassword(cell("password")) : byDefault === "password" ? "make" : "",
    code: said ? code === true : byDefault === "code",
    wrong: [],
  };
  if (code === undefined)
    wish.wrong.push({ field: "certificate", message: t.certificate(cell("certificate")) });
  return wish;
}

const broken = (problem: string): Table => ({ wishes: [], leftOut: [], problem });

/** What is wrong with the titles, or "". */
function judgeTitles(titles: string[]): string {
  const unknown = titles.find((x) => !(x in columns) && !shownOnly.includes(x));
  if (unknown !== undefined) return t.column(unknown);
  const fields = titles.map((x) => columns[x]).filter((x) => x !== undefined);
  const twice = fields.find((x, i) => fields.indexOf(x) !== i);
  if (twice !== undefined) return t.columnTwice(twice);
  return titles.includes("name") ? "" : t.titles;
}

/** The devices that a table asks for. byDefault: what those get that say neither password nor certificate. */
export function readDevices(source: string, byDefault: Default, known: Known): Table {
  let rows;
  try {
    rows = readCsv(source);
  } catch (e) {
    if (e instanceof CsvError) return broken(t.line(e.line, e.message));
    throw e;
  }
  // Spreadsheets leave lines of nothing but separators behind.
  const [head, ...rest] = rows.filter((r) => r.fields.some((x) => x !== ""));
  if (!head) return broken("");
  const titles = head.fields.map((x) => x.toLowerCase());
  const problem = judgeTitles(titles);
  if (problem) return broken(problem);
  if (rest.length === 0) return broken(t.empty);
  if (rest.length > ROWS_MAX) return broken(t.rows(rest.length, ROWS_MAX));
  const seen = new Map<string, number>();
  const wishes = rest.map(({ line, fields }) => {
    const cells = new Map<string, string>();
    fields.forEach((value, i) => {
      const field = columns[titles[i] ?? ""];
      if (field !== undefined) cells.set(field, value);
    });
    const wish = readWish(line, cells, byDefault);
    if (fields.length > titles.length && fields.slice(titles.length).some((x) => x !== ""))
      wish.wrong.push({ field: "", message: t.fields(fields.length, titles.length) });
    judge(wish, seen, known);
    return wish;
  });
  return { wishes, leftOut: titles.filter((x) => shownOnly.includes(x)), problem: "" };
}

/** Does work for each of the items, a few at a time, until stop says so. What is begun is finished. */
export async function forEach<T>(
  items: readonly T[],
  atOnce: number,
  stop: () => boolean,
  work: (item: T) => Promise<void>,
): Promise<void> {
  let next = 0;
  const worker = async () => {
    while (next < items.length && !stop()) {
      const item = items[next++];
      if (item !== undefined) await work(item);
    }
  };
  await Promise.all(Array.from({ length: Math.min(atOnce, items.length) }, worker));
}
