// SPDX-License-Identifier: Apache-2.0
import { expect, test } from "vitest";
import type { GatewayEvent } from "../types";
import { below, deniedOf, whyHref } from "./denial";

const event = (more: object) =>
  ({
    event: "acl.denied",
    device: "pump-1",
    detail: { action: "publish", topic: "a/b", rule: 0 },
    ...more,
  }) as unknown as GatewayEvent;

test("a denial says who was refused what, and by which rule", () => {
  expect(deniedOf(event({}))).toEqual({ device: "pump-1", action: "publish", topic: "a/b", rule: 0 });
  expect(deniedOf(event({ detail: { action: "subscribe", filter: "#", rule: 7 } }))?.rule).toBe(7);
  expect(deniedOf(event({ device: null }))).toBeUndefined();
  expect(deniedOf(event({ event: "login.refused" }))).toBeUndefined();
});

test("what lies below is offered only where that is not everything", () => {
  expect(below("a/b/c")).toBe("a/b/#");
  expect(below("a")).toBeUndefined();
  expect(below("/a")).toBeUndefined();
  expect(below("a/+/c")).toBeUndefined();
});

test("the question why names what was refused, whatever is in the topic", () => {
  const href = whyHref({ device: "a&b", action: "publish", topic: "x/ü=1", rule: 0 });
  expect(new URLSearchParams(href.split("?")[1]).get("topic")).toBe("x/ü=1");
});
