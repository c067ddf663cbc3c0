// SPDX-License-Identifier: Apache-2.0
import { expect, test } from "vitest";
import { parse } from "./router";

test("a path has decoded parts and a query", () => {
  const p = parse("/devices/pump%201?tab=events");
  expect(p.parts).toEqual(["devices", "pump 1"]);
  expect(p.query.get("tab")).toBe("events");
});

test("a malformed escape is left as it is", () => {
  expect(parse("/devices/%zz").parts).toEqual(["devices", "%zz"]);
});
