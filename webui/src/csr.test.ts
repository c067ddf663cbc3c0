// SPDX-License-Identifier: Apache-2.0
import { execFileSync } from "node:child_process";
import { expect, test } from "vitest";
import { makeRequest } from "./csr";

test("openssl reads the request, its name and its proof of possession; the key belongs to it", async () => {
  for (let i = 0; i < 20; i++) {
    const made = await makeRequest("pump-1");
    const text = execFileSync("openssl", ["req", "-verify", "-noout", "-subject", "-pubkey"], {
      input: made.request,
      encoding: "utf8",
      stdio: ["pipe", "pipe", "ignore"],
    });
    expect(text).toContain("CN = pump-1");
    const own = execFileSync("openssl", ["pkey", "-pubout"], { input: made.key, encoding: "utf8" });
    expect(text).toContain(own.trim());
  }
});
