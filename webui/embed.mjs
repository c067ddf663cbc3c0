// SPDX-License-Identifier: Apache-2.0
// usage: node embed.mjs
//
// Compresses what vite built in dist/ once and for all, and writes dist/assets.list, from which make puts the files
// into the program: one line each of "path type etag encoding file", a blank between; encoding is "-", "gzip" or "br".
import { createHash } from "node:crypto";
import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";

const dist = join(import.meta.dirname ?? new URL(".", import.meta.url).pathname, "dist");
const types = {
  html: "text/html;charset=utf-8",
  js: "text/javascript;charset=utf-8",
  css: "text/css;charset=utf-8",
  svg: "image/svg+xml",
  json: "application/json",
  woff2: "font/woff2",
  txt: "text/plain;charset=utf-8",
};

function files(folder) {
  return readdirSync(join(dist, folder))
    .sort()
    .flatMap((name) => {
      const path = folder ? `${folder}/${name}` : name;
      return statSync(join(dist, path)).isDirectory() ? files(path) : [path];
    });
}

const lines = [];
for (const path of files("")) {
  const type = types[path.split(".").pop()];
  if (!type) throw new Error(`dist/${path}: a file of unknown type`);
  const bytes = readFileSync(join(dist, path));
  const etag = createHash("sha256").update(bytes).digest("hex").slice(0, 20);
  lines.push(`/${path} ${type} ${etag} - ${path}`);
  const packed = {
    gzip: gzipSync(bytes, { level: 9 }),
    br: brotliCompressSync(bytes, {
      params: { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length },
    }),
  };
  for (const [encoding, data] of Object.entries(packed)) {
    if (data.length >= bytes.length) continue;
    const file = `${path}.${encoding === "br" ? "br" : "gz"}`;
    writeFileSync(join(dist, file), data);
    lines.push(`/${path} ${type} ${etag} ${encoding} ${file}`);
  }
}
writeFileSync(join(dist, "assets.list"), lines.join("\n") + "\n");
