// SPDX-License-Identifier: Apache-2.0
import { expect, test } from "vitest";
import { changes, group, type Listener, type Values, without } from "./gateway-listeners";

const setting = (key: string, value: string, source: "settings" | "file" | "default" = "settings") => ({
  key,
  section: key.split(".").slice(0, 2).join("."),
  value,
  source,
  origin: source,
  file_only: false,
  restart: false,
  text: "",
});
const state = (name: string, address: string) => ({ name, address, protocol: "mqtt", connections: 1 });

test("addresses and settings of one listener stand together", () => {
  const all = group(
    [state("admin", "*:8443"), state("lan", "10.0.0.1:1883"), state("lan", "[::1]:1883")],
    [setting("listener.lan.tls", "off"), setting("broker.max-packet", "1M")],
  );
  expect(all.map((l) => [l.name, l.states.length, Object.keys(l.set)])).toEqual([
    ["admin", 1, []],
    ["lan", 2, ["tls"]],
  ]);
});

test("a listener goes by what the interface set of it, and nothing of the others is said", () => {
  const all = group(
    [],
    [
      setting("listener.lan.bind", "10.0.0.1:1883"),
      setting("listener.lan.auth", "password"),
      setting("listener.lan.tls", "on", "default"),
      setting("listener.mqtts.max-packet", "64K"),
    ],
  );
  expect(without(all[0] as Listener)).toEqual({
    version: 1,
    listeners: { lan: { bind: null, auth: null } },
  });
});

test("of a changed listener only what differs is said, and what was emptied goes back", () => {
  const before: Values = {
    bind: "10.0.0.1:1883",
    protocol: "mqtt",
    tls: "on",
    auth: "any",
    "tls-versions": "1.2+1.3",
    "allow-from": "10.0.0.0/8",
    "max-connections": "",
    "max-connections-per-address": "",
    "max-packet": "64K",
  };
  expect(changes(before, { ...before, tls: "off", "allow-from": " ", "max-connections": " 7" })).toEqual({
    tls: "off",
    "allow-from": null,
    "max-connections": "7",
  });
});
