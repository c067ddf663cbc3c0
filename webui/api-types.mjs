// SPDX-License-Identifier: Apache-2.0
//
// usage: node webui/api-types.mjs <DESCRIPTION >webui/src/api-types.ts   (make api-types)
//
// From the description of the API (OpenAPI 3.1 as daemon/web/schema.h writes it) to the types of the interface: an
// interface per shape, what each operation answers and what it takes, by the operation's name. What it does not
// understand ends it: a word that it passed over would be a type that is wrong.
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import prettier from "prettier";

const known = new Set(
  "$ref additionalProperties anyOf description enum format items maxItems maxLength maximum minLength minimum pattern properties required type".split(
    " ",
  ),
);
const simple = { string: "string", integer: "number", boolean: "boolean", null: "null" };

function objectOf(schema) {
  const required = new Set(schema.required ?? []);
  const fields = Object.entries(schema.properties ?? {}).map(([name, type]) => {
    const said = type.description ? `/** ${type.description} */\n` : "";
    return `${said}${JSON.stringify(name)}${required.has(name) ? "" : "?"}: ${typeOf(type)};`;
  });
  const more = schema.additionalProperties;
  if (fields.length === 0) return `Record<string, ${typeof more === "object" ? typeOf(more) : "unknown"}>`;
  if (typeof more === "object") fields.push(`[more: string]: ${typeOf(more)};`);
  return `{\n${fields.join("\n")}\n}`;
}

function typeOf(schema) {
  for (const word of Object.keys(schema)) if (!known.has(word)) throw new Error(`schema: what is "${word}"?`);
  if (schema.$ref) return schema.$ref.replace("#/components/schemas/", "");
  if (schema.anyOf) return schema.anyOf.map(typeOf).join(" | ");
  if (schema.enum) return schema.enum.map((word) => JSON.stringify(word)).join(" | ");
  if (schema.type === "array") return `(${typeOf(schema.items)})[]`;
  if (schema.type === "object") return objectOf(schema);
  if (schema.type === undefined) return "unknown";
  if (!simple[schema.type]) throw new Error(`schema: what is the type "${schema.type}"?`);
  return simple[schema.type];
}

/** The arguments of an operation, those in its path too. */
function argumentsOf(operation) {
  const body = operation.requestBody?.content["application/json"].schema ?? {};
  const whole = { type: "object", properties: { ...body.properties }, required: [...(body.required ?? [])] };
  for (const p of operation.parameters ?? []) {
    if (p.$ref) continue; // a header
    whole.properties[p.name] = { ...p.schema, description: p.description };
    if (p.required) whole.required.push(p.name);
  }
  return Object.keys(whole.properties).length ? objectOf(whole) : "Record<string, never>";
}

function answerOf(operation) {
  const code = Object.keys(operation.responses).find((c) => c.startsWith("2"));
  return operation.responses[code].content["application/json"]?.schema;
}

const description = JSON.parse(readFileSync("/dev/stdin", "utf8"));
const operations = Object.values(description.paths)
  .flatMap((item) => Object.values(item))
  .filter((o) => answerOf(o)?.type === "object")
  .sort((a, b) => (a.operationId < b.operationId ? -1 : 1));
const shapes = Object.entries(description.components.schemas).sort(([a], [b]) => (a < b ? -1 : 1));
const rows = (make) =>
  operations.map((o) => `/** ${o.summary} */\n${JSON.stringify(o.operationId)}: ${make(o)};`);

const text = [
  "// SPDX-License-Identifier: Apache-2.0",
  "// Made of the description of the API by webui/api-types.mjs (make api-types): do not edit.\n",
  ...shapes.map(([name, schema]) => `export interface ${name} ${objectOf(schema)}\n`),
  `/** What the operations answer, by name. */\nexport interface Answers {\n${rows((o) => typeOf(answerOf(o))).join("\n")}\n}\n`,
  `/** What they take. */\nexport interface Takes {\n${rows(argumentsOf).join("\n")}\n}\n`,
].join("\n");
const rc = join(dirname(fileURLToPath(import.meta.url)), ".prettierrc");
process.stdout.write(
  await prettier.format(text, { ...JSON.parse(readFileSync(rc, "utf8")), parser: "typescript" }),
);
