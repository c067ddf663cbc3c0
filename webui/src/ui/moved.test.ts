// SPDX-License-Identifier: Apache-2.0
import { expect, test } from "vitest";
import { places } from "./moved";

test("addresses of the interface become links that this browser can follow", () => {
  expect(places("*:9443", "gate.lan")).toEqual(["https://gate.lan:9443"]);
  expect(places("192.0.2.1:8443, [2001:db8::1]:8443", "gate.lan")).toEqual([
    "https://192.0.2.1:8443",
    "https://[2001:db8::1]:8443",
  ]);
  expect(places("0.0.0.0:443, [::]:443", "gate.lan")).toEqual(["https://gate.lan"]);
  expect(places("", "gate.lan")).toEqual([]);
});
