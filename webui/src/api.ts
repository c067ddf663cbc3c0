// SPDX-License-Identifier: Apache-2.0
// The API: one function per method, errors as Problem (RFC 9457). The browser sends the session's cookie by
// itself; what changes something repeats the session's word in a header, which pages of others cannot know.

export class Problem extends Error {
  /** Of work in two steps: the first was done. */
  half = false;
  constructor(
    readonly status: number,
    message: string,
    /** The argument that is wrong, or "". */
    readonly field: string,
  ) {
    super(message);
  }
}

/** A JSON object of any shape, in a body. */
export type Document = Readonly<Record<string, unknown>>;
type Value = Document | string | number | boolean | readonly string[] | null | undefined;
export type Arguments = Record<string, Value>;

let page = "";
let ended: () => void = () => undefined;

/** The word of the session that now holds. */
export function usePage(word: string): void {
  page = word;
}

/** Called when the gateway says that the session has ended. */
export function onEnded(f: () => void): void {
  ended = f;
}

function query(args: Arguments): string {
  const q = new URLSearchParams();
  for (const [name, value] of Object.entries(args)) {
    if (value === undefined || value === null || value === "") continue;
    if (typeof value !== "object") q.set(name, String(value));
    else q.set(name, Array.isArray(value) ? value.join(",") : JSON.stringify(value));
  }
  const s = q.toString();
  return s ? `?${s}` : "";
}

function isObject(v: unknown): v is Record<string, unknown> {
  return typeof v === "object" && v !== null;
}

async function problemOf(r: Response): Promise<Problem> {
  const body: unknown = await r.json().catch(() => null);
  const detail =
    isObject(body) && typeof body.detail === "string" ? body.detail : `${r.status} ${r.statusText}`;
  const field = isObject(body) && typeof body.field === "string" ? body.field : "";
  return new Problem(r.status, detail, field);
}

async function send(
  method: string,
  path: string,
  args: Arguments,
  signal?: AbortSignal,
  more: Record<string, string> = {},
): Promise<Response> {
  const inQuery = method === "GET" || method === "DELETE";
  const headers: Record<string, string> = { Accept: "application/json" };
  if (!inQuery) headers["Content-Type"] = "application/json";
  if (method !== "GET") headers["X-Gatehouse-Page"] = page;
  Object.assign(headers, more);
  const r = await fetch(`/api/v1${path}${inQuery ? query(args) : ""}`, {
    method,
    headers,
    credentials: "same-origin",
    redirect: "error",
    body: inQuery ? null : JSON.stringify(args),
    signal: signal ?? null,
  }).catch((e: unknown) => {
    if (signal?.aborted) throw e;
    throw new Problem(0, "", "");
  });
  if (!r.ok) {
    const problem = await problemOf(r);
    if (r.status === 401 && path !== "/session" && path !== "/setup" && !path.startsWith("/session/"))
      ended();
    throw problem;
  }
  return r;
}

export async function call<T>(
  method: string,
  path: string,
  args: Arguments = {},
  signal?: AbortSignal,
  passive = false,
): Promise<T> {
  const r = await send(method, path, args, signal, passive ? { "X-Gatehouse-Passive": "1" } : {});
  return (await r.json()) as T;
}

/** As post; sent again with the same key it is not done again, but answered as the first time. */
export async function postOnce<T>(path: string, args: Arguments, key: string): Promise<T> {
  const r = await send("POST", path, args, undefined, { "Idempotency-Key": key });
  return (await r.json()) as T;
}

/** A file of the gateway's, with the name that it gave it. */
export interface GivenFile {
  name: string;
  content: Blob;
}

/** As post, where the answer is a file. */
export async function postForFile(path: string, args: Arguments): Promise<GivenFile> {
  const r = await send("POST", path, args);
  const name = /filename="([^"]+)"/.exec(r.headers.get("Content-Disposition") ?? "");
  return { name: name?.[1] ?? "file", content: await r.blob() };
}

export const get = <T>(path: string, args?: Arguments, signal?: AbortSignal) =>
  call<T>("GET", path, args, signal);
/** The same, asked by the page itself again and again: it keeps no session from ending. */
export const watch = <T>(path: string, args?: Arguments, signal?: AbortSignal) =>
  call<T>("GET", path, args, signal, true);
export const post = <T>(path: string, args?: Arguments) => call<T>("POST", path, args);
export const patch = <T>(path: string, args?: Arguments) => call<T>("PATCH", path, args);
export const put = <T>(path: string, args?: Arguments) => call<T>("PUT", path, args);
export const del = <T>(path: string, args?: Arguments) => call<T>("DELETE", path, args);

export interface Page<T> {
  items: T[];
  next: string | null;
  total?: number | null;
}

/** A path segment. */
export const segment = (s: string | number) => encodeURIComponent(String(s));
