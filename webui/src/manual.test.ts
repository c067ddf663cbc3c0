// SPDX-License-Identifier: Apache-2.0
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { argumentsOf, manual, spansOf, type Block } from "./manual";

const page = readFileSync(new URL("../../packaging/man/gatehoused.8", import.meta.url), "utf8");

function words(b: Block): string {
  if (b.kind === "table")
    return b.rows
      .flat(2)
      .map((s) => s.text)
      .join(" ");
  return "spans" in b ? b.spans.map((s) => s.text).join("") : b.text;
}

test("escapes", () => {
  expect(spansOf("a \\fBbold\\-x\\fR \\(aqq\\(aq \\e")).toEqual([
    { font: "", text: "a " },
    { font: "b", text: "bold-x" },
    { font: "", text: " 'q' \\" },
  ]);
});

test("arguments of macros", () => {
  expect(argumentsOf('\\-c ", " \\-\\-config')).toEqual(["\\-c", ", ", "\\-\\-config"]);
  expect(argumentsOf("\\-t \\ |\\  x")).toEqual(["\\-t", "\\ |\\ ", "x"]);
});

test("items, paragraphs, examples and tables", () => {
  const blocks = manual(
    '.SH NAME\nfirst\nsecond\n.TP\n.BR \\-o ", " \\-\\-set\nIts text.\n.PP\nEnd\n.nf\na  b\n.fi\n' +
      ".TS\nl l.\nSetting\tDefault\n.T&\nl s.\nT{\nA reason.\nT}\n.TE\n",
  );
  expect(blocks.map((b) => [b.kind, words(b)])).toEqual([
    ["section", "NAME"],
    ["text", "first second"],
    ["term", "-o, --set"],
    ["text", "Its text."],
    ["text", "End"],
    ["code", "a  b"],
    ["table", "Setting Default A reason."],
  ]);
  expect(blocks[3]).toMatchObject({ depth: 1 });
  expect(blocks[4]).toMatchObject({ depth: 0 });
});

test("a page of ours leaves nothing over", () => {
  const blocks = manual(page);
  const sections = [...page.matchAll(/^\.SH "?([^"\n]*)/gm)].map((m) => m[1]);
  expect(blocks.filter((b) => b.kind === "section").map(words)).toEqual(sections);
  const all = blocks.map(words).join("\n");
  expect(all).not.toMatch(/\\|^\.[A-Z]/m);
  expect(all).toContain("--print-config");
  expect(all).toContain("listener.mqtts.bind=127.0.0.1:8883");
});
