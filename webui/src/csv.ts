// SPDX-License-Identifier: Apache-2.0
// Comma-separated values (RFC 4180) as spreadsheets write and read them: quotes around a field, CR LF or LF, also a
// byte order mark, and semicolons or tabs instead of commas. As the command line reads them.

export interface CsvRow {
  /** In which it begins, from 1. */
  line: number;
  fields: string[];
}

export class CsvError extends Error {
  constructor(
    readonly line: number,
    message: string,
  ) {
    super(message);
  }
}

/** What the first line has and commas are not in. */
function separatorOf(text: string): string {
  const first = /^[^\r\n]*/.exec(text)?.[0] ?? "";
  if (first.includes(",")) return ",";
  return first.includes(";") ? ";" : first.includes("\t") ? "\t" : ",";
}

/** A text that an export kept from being a formula is itself again. */
const plain = (field: string) => (/^'[=+\-@]/.test(field) ? field.slice(1) : field);

/** Rows with something in them, fields without blanks around them. Throws CsvError. */
export function readCsv(source: string): CsvRow[] {
  const text = source.replace(/^\ufeff/, "");
  const separator = separatorOf(text);
  const rows: CsvRow[] = [];
  let row: string[] = [];
  let line = 1;
  let begun = 1;
  let at = 0;

  const skipBlanks = () => {
    while (
      text[at] === " " ||
      (text[at] === "\t" && separator !== "\t") ||
      (text[at] === "\r" && text[at + 1] === "\n")
    )
      at++;
  };
  const quoted = () => {
    const opened = line;
    let field = "";
    for (at++; ; at++) {
      const c = text[at];
      if (c === undefined) throw new CsvError(opened, "the quotes around a field are not closed");
      if (c === "\n") line++;
      if (c === '"' && text[at + 1] !== '"') break;
      if (c === '"') at++;
      field += c;
    }
    at++;
    skipBlanks();
    const c = text[at];
    if (c !== undefined && c !== separator && c !== "\n")
      throw new CsvError(line, "text stands behind the quotes around a field");
    return field.trim();
  };
  const bare = () => {
    const from = at;
    while (at < text.length && text[at] !== separator && text[at] !== "\n") at++;
    return text.slice(from, at).trim();
  };

  while (at < text.length) {
    skipBlanks();
    row.push(plain(text[at] === '"' ? quoted() : bare()));
    const c = text[at];
    at++;
    if (c === separator && at < text.length) continue;
    if (c === separator) row.push("");
    if (row.length > 1 || row[0] !== "") rows.push({ line: begun, fields: row });
    row = [];
    if (c === "\n") line++;
    begun = line;
  }
  return rows;
}

export type Cell = string | number | boolean | null;

/** A cell that begins like a formula must stay a text in spreadsheets. */
function cell(value: Cell): string {
  const s = value === null ? "" : String(value);
  const safe = /^[=+\-@\t\r]/.test(s) ? `'${s}` : s;
  return `"${safe.replaceAll('"', '""')}"`;
}

/** The whole text, with titles that are words. */
export function writeCsv(titles: readonly string[], rows: readonly (readonly Cell[])[]): string {
  return [titles.join(","), ...rows.map((r) => r.map(cell).join(","))].join("\r\n") + "\r\n";
}
