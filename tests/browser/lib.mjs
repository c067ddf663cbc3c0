// SPDX-License-Identifier: Apache-2.0
// What the walks through the interface share: a Chromium with the page of a gateway, whose every error counts.
//
// A walk is called as: node WALK.mjs '{"port": …, …}'. It ends with 0, or says what it did not find.
import { mkdirSync } from "node:fs";
import { createRequire } from "node:module";

const require = createRequire(new URL("../../webui/package.json", import.meta.url));
const { chromium } = require("playwright-core");

export const args = JSON.parse(process.argv[2]);
export const base = `https://${args.host ?? "127.0.0.1"}:${args.port}`;
const problems = [];

export function check(what, value) {
  if (!value) throw new Error(`not so: ${what}`);
}

/** A page in a browser of its own; what the console says of errors is collected. expected: statuses of answers
 * that belong to the walk; lost: so does a gateway that is not reached; also: another address of it. */
export async function open({ expected = [], lost = false, also = base, ...options } = {}) {
  const browser = await chromium.launch({
    executablePath: "/usr/bin/chromium",
    args: ["--no-sandbox", "--disable-background-networking"],
  });
  const context = await browser.newContext({
    ignoreHTTPSErrors: true,
    viewport: { width: 1280, height: 800 },
    acceptDownloads: true,
    ...options,
  });
  const page = await context.newPage();
  page.setDefaultTimeout(60000);
  page.on("pageerror", (e) => problems.push(`error in the page: ${e.message}`));
  page.on("console", (m) => {
    const known =
      expected.some((s) => m.text().includes(`status of ${s}`)) || (lost && m.text().includes("net::ERR_"));
    if (m.type() === "error" && !known) problems.push(`console: ${m.text()} (${m.location().url})`);
  });
  page.on("request", (r) => {
    const url = r.url();
    if (![base, also, "blob:"].some((start) => url.startsWith(start))) problems.push(`a request left the gateway: ${url}`);
  });
  return { browser, page };
}

export async function login(page, name = args.name, password = args.password) {
  await page.goto(`${base}/`);
  await page.getByLabel("Name").fill(name);
  await page.getByLabel("Password").fill(password);
  await page.getByRole("button", { name: "Log in" }).click();
  await page.getByRole("heading", { name: "Overview" }).waitFor();
}

/** Kept as an artefact of the run. */
export async function shot(page, name) {
  if (!args.shots) return;
  mkdirSync(args.shots, { recursive: true });
  await page.screenshot({ path: `${args.shots}/${name}.png`, fullPage: true });
}

/** Runs the walk and tells its end. */
export async function walk(options, steps) {
  const { browser, page } = await open(options);
  try {
    await steps(page, browser);
    if (problems.length > 0) throw new Error(problems.join("\n"));
  } catch (e) {
    await shot(page, "failed").catch(() => undefined);
    console.error(e instanceof Error ? e.message : e);
    process.exitCode = 1;
  } finally {
    await browser.close();
  }
}
