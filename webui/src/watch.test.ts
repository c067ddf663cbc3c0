// SPDX-License-Identifier: Apache-2.0
import { expect, test } from "vitest";
import type { Message } from "./types";
import { show, treeOf } from "./watch";

const message = (topic: string, text: string | null, hex: string | null = null): Message => ({
  topic,
  qos: 0,
  retain: false,
  size: 0,
  text,
  hex,
  cut: false,
  hidden: false,
});

test("what a message says", () => {
  expect(show(message("a", "hello"), "text")).toBe("hello");
  expect(show(message("a", '{"a":1}'), "json")).toBe('{\n  "a": 1\n}');
  expect(show(message("a", "{no"), "json")).toBe("{no");
  expect(show(message("a", "hü"), "hex")).toBe("68 c3 bc");
  expect(show(message("a", null, "ff00"), "text")).toBe("ff 00");
  expect(show(message("a", null, "00".repeat(17)), "hex").split("\n").length).toBe(2);
});

test("topics as a tree", () => {
  const topics = ["a/b", "a/c", "a", "/x"];
  const tree = treeOf(new Map(topics.map((t) => [t, message(t, t)])), new Map(topics.map((t) => [t, 2])));
  expect(tree.map((n) => [n.level, n.topic, n.count, n.message?.text])).toEqual([
    ["", "", 2, undefined],
    ["a", "a", 6, "a"],
  ]);
  expect(tree[1]?.children.map((n) => [n.topic, n.count])).toEqual([
    ["a/b", 2],
    ["a/c", 2],
  ]);
});
