// SPDX-License-Identifier: Apache-2.0
// One device of a table: added, then its enrolment code. Both are requests that can be sent again: what was done
// although its answer got lost is not done twice.
import { postOnce, Problem } from "./api";
import type { Wish } from "./bulk";
import { randomWord } from "./random";
import type { Answers } from "./types";

export interface Made {
  name: string;
  code: string;
  expires: string;
  profile: string;
  /** That was made here; one that the table gave is known. */
  password: string;
}

const BUSY = 429;
const BUSY_MS = 500;
const BUSY_TRIES = 240;

/** What was begun for a line, and is the same when it is tried again. */
interface Begun {
  device: string;
  code: string;
  password: string;
  added: boolean;
}
const begun = new WeakMap<Wish, Begun>();

function beginningOf(wish: Wish): Begun {
  const before = begun.get(wish);
  if (before) return before;
  const now = {
    device: crypto.randomUUID(),
    code: crypto.randomUUID(),
    password: wish.password === "make" ? randomWord() : wish.password,
    added: false,
  };
  begun.set(wish, now);
  return now;
}

/** More than the gateway does at once is a matter of patience. */
async function patiently<T>(ask: () => Promise<T>, stop: () => boolean): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await ask();
    } catch (e) {
      if (!(e instanceof Problem) || e.status !== BUSY || tries === BUSY_TRIES || stop()) throw e;
      await new Promise((done) => setTimeout(done, BUSY_MS));
    }
  }
}

/** The password that was made for a device whose code was not. */
export function halfMade(wish: Wish): Made | undefined {
  const b = begun.get(wish);
  if (!b?.added || wish.password !== "make") return undefined;
  return { name: wish.name, code: "", expires: "", profile: "", password: b.password };
}

/** Throws a Problem; its half is set when the device was added and its code was not made. */
export async function addDevice(wish: Wish, stop: () => boolean): Promise<Made> {
  const b = beginningOf(wish);
  const made: Made = {
    name: wish.name,
    code: "",
    expires: "",
    profile: "",
    password: wish.password === "make" ? b.password : "",
  };
  if (!b.added) {
    const device = {
      name: wish.name,
      kind: wish.kind || "device",
      groups: wish.groups,
      roles: wish.roles,
      note: wish.note,
      ...(b.password ? { password: b.password } : {}),
    };
    await patiently(() => postOnce("/devices", device, b.device), stop);
    b.added = true;
  }
  if (!wish.code) return made;
  const args = {
    name: wish.name,
    ...(wish.profile ? { profile: wish.profile } : {}),
    ...(wish.network ? { network: wish.network } : {}),
  };
  try {
    const code = await patiently(() => postOnce<Answers["code.add"]>("/codes", args, b.code), stop);
    return { ...made, code: code.code, expires: code.expires, profile: code.profile };
  } catch (e) {
    if (e instanceof Problem) e.half = true;
    throw e;
  }
}
