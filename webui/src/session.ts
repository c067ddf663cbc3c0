// SPDX-License-Identifier: Apache-2.0
// Who has logged in. The secret is in a cookie that no script can read; the page's word comes with each answer
// about the session.
import { call, get, post, usePage } from "./api";
import type { Answers } from "./types";

export type Session = Answers["session.add"];
export type Level = Session["level"];

export type Setup = Answers["setup.show"];

const order: Level[] = ["viewer", "operator", "admin"];

export function may(session: Session, level: Level): boolean {
  return order.indexOf(session.level) >= order.indexOf(level);
}

function begin(s: Session): Session {
  usePage(s.page);
  return s;
}

export const setupState = () => get<Setup>("/setup");
/** Undefined: nobody has logged in here. */
export async function current(): Promise<Session | undefined> {
  const s = await get<Omit<Session, "level"> & { level: Level | "nobody" }>("/session");
  return s.level === "nobody" ? undefined : begin({ ...s, level: s.level });
}

export async function login(name: string, password: string, code: string): Promise<Session> {
  return begin(await post<Session>("/session", { name, password, ...(code ? { code } : {}) }));
}

export async function setUp(code: string, name: string, password: string): Promise<Session> {
  return begin(await post<Session>("/setup", { code, name, password }));
}

export async function logout(): Promise<void> {
  await call("DELETE", "/sessions/0");
  usePage("");
}
