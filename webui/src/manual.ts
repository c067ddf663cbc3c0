// SPDX-License-Identifier: Apache-2.0
// Manual pages (roff, macros of man) as blocks to show. It knows what our own pages use, see packaging/man, and leaves
// out what it does not know.

export interface Span {
  font: "" | "b" | "i";
  text: string;
}

export type Block =
  | { kind: "section" | "part"; id: string; text: string }
  | { kind: "text" | "term"; depth: number; spans: Span[] }
  | { kind: "code"; depth: number; text: string }
  | { kind: "table"; rows: Span[][][] };

const special: Record<string, string> = { aq: "'", dq: '"', bu: "•", em: "—", en: "–", "<=": "≤", ">=": "≥" };

/** Text with its escapes, in the font that it begins with. */
export function spansOf(source: string, font: Span["font"] = ""): Span[] {
  const out: Span[] = [];
  const put = (s: string) => {
    const last = out[out.length - 1];
    if (last && last.font === font) last.text += s;
    else if (s !== "") out.push({ font, text: s });
  };
  const escape = /\\(?:f([BIRP])|\(([^\s]{2})|([\s\S]))/y;
  for (let i = 0; i < source.length; ) {
    escape.lastIndex = i;
    const found = source[i] === "\\" ? escape.exec(source) : null;
    if (!found) {
      put(source[i] ?? "");
      i++;
      continue;
    }
    i = escape.lastIndex;
    if (found[1]) font = found[1] === "B" ? "b" : found[1] === "I" ? "i" : "";
    else if (found[2]) put(special[found[2]] ?? "");
    else if (found[3] === "e") put("\\");
    else if (found[3] === " ") put("\u00a0");
    else if (found[3] !== "|" && found[3] !== "&" && found[3] !== "^") put(found[3] ?? "");
  }
  return out;
}

/** The arguments of a macro; one in quotes may hold blanks. */
export function argumentsOf(rest: string): string[] {
  return [...rest.matchAll(/"([^"]*)"?|((?:\\.|[^\s\\])+)/g)].map((m) => m[1] ?? m[2] ?? "");
}

const fonts: Record<string, Span["font"]> = { B: "b", I: "i", R: "" };

/** .B, .I: all in one font; .BR and the like: in turn, without a blank between. */
function macroSpans(macro: string, rest: string): Span[] {
  const words = argumentsOf(rest);
  if (macro.length === 1) return spansOf(words.join(" "), fonts[macro]);
  return words.flatMap((w, i) => spansOf(w, fonts[macro[i % 2] ?? "R"]));
}

function plain(spans: Span[]): string {
  return spans.map((s) => s.text).join("");
}

class Reader {
  readonly blocks: Block[] = [];
  private spans: Span[] = [];
  private code: string[] | undefined;
  private table: Span[][][] | undefined;
  private cell: string[] | undefined;
  private base = 0;
  private inItem = false;
  private termNext = false;
  private broken = true;

  private get depth(): number {
    return this.base + (this.inItem ? 1 : 0);
  }

  end(): void {
    if (this.spans.length) this.blocks.push({ kind: "text", depth: this.depth, spans: this.spans });
    this.spans = [];
    this.broken = true;
  }

  private add(spans: Span[]): void {
    if (this.termNext) {
      this.termNext = false;
      this.blocks.push({ kind: "term", depth: this.base, spans });
      return;
    }
    if (!this.broken) this.spans.push({ font: "", text: " " });
    this.broken = false;
    this.spans.push(...spans);
  }

  private heading(kind: "section" | "part", rest: string): void {
    this.end();
    this.base = 0;
    this.inItem = false;
    const text = plain(spansOf(argumentsOf(rest).join(" ")));
    const id = text.toLowerCase().replace(/[^a-z0-9]+/g, "-");
    this.blocks.push({ kind, id, text });
  }

  private tableLine(line: string): void {
    if (line === "T{") this.cell = [];
    else if (line === "T}") {
      this.table?.push([spansOf((this.cell ?? []).join(" "))]);
      this.cell = undefined;
    } else if (this.cell) this.cell.push(line);
    else if (!line.startsWith(".") && !line.endsWith("."))
      this.table?.push(line.split("\t").map((c) => spansOf(c)));
  }

  private macro(name: string, rest: string): void {
    switch (name) {
      case "SH": {
        this.heading("section", rest);
        return;
      }
      case "SS": {
        this.heading("part", rest);
        return;
      }
      case "TP":
        this.end();
        this.inItem = this.termNext = true;
        return;
      case "IP":
        this.end();
        this.inItem = true;
        if (argumentsOf(rest)[0])
          this.blocks.push({ kind: "term", depth: this.base, spans: spansOf(argumentsOf(rest)[0] ?? "") });
        return;
      case "PP":
        this.end();
        this.inItem = false;
        return;
      case "RS":
        this.end();
        this.base = this.depth;
        this.inItem = false;
        return;
      case "RE":
        this.end();
        this.base = Math.max(0, this.base - 1);
        this.inItem = true;
        return;
      case "br":
        if (!this.broken) this.spans.push({ font: "", text: "\n" });
        this.broken = true;
        return;
      case "nf":
      case "EX":
        this.end();
        this.code = [];
        return;
      case "TS":
        this.end();
        this.table = [];
        return;
      default:
        if (/^([BIR]{1,2})$/.test(name)) this.add(macroSpans(name, rest));
    }
  }

  line(line: string): void {
    if (this.table && line === ".TE") {
      this.blocks.push({ kind: "table", rows: this.table });
      this.table = undefined;
    } else if (this.table) this.tableLine(line);
    else if (this.code && (line === ".fi" || line === ".EE")) {
      this.blocks.push({ kind: "code", depth: this.depth, text: this.code.join("\n") });
      this.code = undefined;
    } else if (this.code) this.code.push(plain(spansOf(line)));
    else if (line.startsWith(".")) {
      const found = /^\.([A-Za-z]+)\s*(.*)$/.exec(line);
      if (found) this.macro(found[1] ?? "", found[2] ?? "");
    } else if (line !== "") this.add(spansOf(line));
  }
}

export function manual(source: string): Block[] {
  const reader = new Reader();
  source.split("\n").forEach((line) => reader.line(line));
  reader.end();
  return reader.blocks;
}
