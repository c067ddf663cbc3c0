// SPDX-License-Identifier: Apache-2.0
import { expect, test } from "vitest";
import { group, without } from "./gateway-listeners";

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

test("the document without a listener has what the interface set of the others, and nothing else", () => {
  const all = group(
    [],
    [
      setting("listener.lan.bind", "10.0.0.1:1883"),
      setting("listener.old.bind", "10.0.0.1:1884"),
      setting("listener.mqtts.bind", "*:8883", "file"),
      setting("listener.mqtts.max-packet", "64K"),
      setting("listener.mqtts.tls", "on", "default"),
    ],
  );
  expect(without(all, "old")).toEqual({
    version: 1,
    listeners: { lan: { bind: "10.0.0.1:1883" }, mqtts: { "max-packet": "64K" } },
  });
});
