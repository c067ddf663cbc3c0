// SPDX-License-Identifier: Apache-2.0
import { expect, test } from "vitest";
import { CsvError, readCsv, writeCsv } from "./csv";

const fields = (text: string) => readCsv(text).map((r) => r.fields);

test("what spreadsheets write", () => {
  expect(fields("name,note\r\na,b\r\n")).toEqual([
    ["name", "note"],
    ["a", "b"],
  ]);
  expect(fields("\ufeffname;groups\n a ; x y \n")).toEqual([
    ["name", "groups"],
    ["a", "x y"],
  ]);
  expect(fields("name\tnote\na\tb")).toEqual([
    ["name", "note"],
    ["a", "b"],
  ]);
  expect(fields("name,a;b\nx,y;z")[1]).toEqual(["x", "y;z"]);
  expect(fields("a,\n,b\n\n\r\n,\n")).toEqual([
    ["a", ""],
    ["", "b"],
    ["", ""],
  ]);
  expect(fields("")).toEqual([]);
});

test("quotes, and what may stand in them", () => {
  expect(fields('name,note\n"a" , "x, ""y""\nz" \n"",b')).toEqual([
    ["name", "note"],
    ["a", 'x, "y"\nz'],
    ["", "b"],
  ]);
  expect(fields('a,b"c')).toEqual([["a", 'b"c']]);
});

test("lines are counted as an editor does", () => {
  expect(readCsv('n\n\n"a\nb"\r\nc').map((r) => r.line)).toEqual([1, 3, 5]);
});

test.each([
  ['a,"b', 1, "not closed"],
  ['a\nb,"c\nd', 2, "not closed"],
  ['a\n"b"c,d', 2, "behind the quotes"],
])("what is no table: %j", (text, line, words) => {
  let said: unknown;
  try {
    readCsv(text);
  } catch (e) {
    said = e;
  }
  expect(said).toBeInstanceOf(CsvError);
  expect((said as CsvError).line).toBe(line);
  expect((said as CsvError).message).toContain(words);
});

test("nothing that is written is a formula, and it is read as it was", () => {
  const odd = ["=1+1", "+49", "-1", "@x", 'a"b', "a,b;c", "two\nlines", "'quoted", ""];
  const text = writeCsv(
    ["a"],
    odd.map((x) => [x, 7, null, true]),
  );
  for (const sign of ["=", "+", "-", "@"]) expect(text).not.toContain(`"${sign}`);
  expect(writeCsv(["a"], [["\tx"], ["\rx"]])).toBe(`a\r\n"'\tx"\r\n"'\rx"\r\n`);
  expect(fields(text).slice(1)).toEqual(odd.map((x) => [x, "7", "", "true"]));
});
