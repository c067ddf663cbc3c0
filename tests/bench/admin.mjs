// SPDX-License-Identifier: Apache-2.0
// The part of tests/bench/admin that needs a browser: prints a list of {what, value, goal} as JSON.
import { args, base, open } from "../browser/lib.mjs";

const ROUNDS = 5;
const MORE = 19; // times "Show more": 1000 rows
const figures = [];
const sorted = (times) => [...times].sort((a, b) => a - b);
const middle = (times) => sorted(times)[Math.floor(times.length / 2)];
const tell = (what, times, goal) =>
  figures.push({ what, value: `${middle(times).toFixed(0)}, ${Math.max(...times).toFixed(0)} ms`, goal });

/** Milliseconds from doing something until the page shows what it should, looked for in every frame. */
async function until(page, act, shown, wanted) {
  const began = performance.now();
  await act();
  await page.waitForFunction(shown, wanted, { polling: "raf" });
  return performance.now() - began;
}

const usable = () =>
  document.querySelector("main h1")?.textContent === "Overview" &&
  [...document.querySelectorAll("main .figure")].length > 5 &&
  document.querySelector("main .spinner") === null &&
  document.querySelector("main .events li") !== null;

/** A new browser without a cache: from the click to the answer of the login, and from there to the overview. */
async function overview() {
  const { browser, page } = await open();
  try {
    await page.goto(`${base}/`);
    await page.getByLabel("Name").fill(args.name);
    await page.getByLabel("Password").fill(args.password);
    let answered = 0;
    page.on("response", (r) => {
      if (r.url() === `${base}/api/v1/session` && r.request().method() === "POST") answered = performance.now();
    });
    const began = performance.now();
    await page.getByRole("button", { name: "Log in" }).click();
    await page.waitForFunction(usable, null, { polling: "raf" });
    return { login: answered - began, overview: performance.now() - answered };
  } finally {
    await browser.close();
  }
}

const count = ([n, name]) => {
  const rows = document.querySelectorAll("tbody a");
  return rows.length === n && rows[0].textContent === name;
};

async function list() {
  const { browser, page } = await open();
  try {
    await page.goto(`${base}/`);
    await page.getByLabel("Name").fill(args.name);
    await page.getByLabel("Password").fill(args.password);
    await page.getByRole("button", { name: "Log in" }).click();
    await page.getByRole("link", { name: "Devices", exact: true }).waitFor();
    const links = page.getByRole("link", { name: "Devices", exact: true });
    const first = "device-000000";
    tell("the list of devices: shown", [await until(page, () => links.click(), count, [50, first])]);
    await page.evaluate(() => {
      globalThis.long = [];
      new PerformanceObserver((l) => globalThis.long.push(...l.getEntries().map((e) => e.duration))).observe({
        type: "longtask",
      });
    });
    const search = page.getByRole("searchbox");
    const times = [];
    for (let i = 0; i < ROUNDS; i++) {
      times.push(await until(page, () => search.fill(args.last), count, [1, args.last]));
      await until(page, () => search.fill(""), count, [50, first]);
    }
    tell("  a search for the last one (250 ms of it wait)", times);
    const more = page.getByRole("button", { name: "Show more" });
    const pages = [];
    for (let n = 2; n <= MORE + 1; n++)
      pages.push(await until(page, () => more.click(), count, [50 * n, first]));
    tell(`  "Show more", up to ${50 * (MORE + 1)} rows`, pages);
    const frames = await page.evaluate(async () => {
      const seen = [];
      const next = () => new Promise((done) => requestAnimationFrame(done));
      let before = await next();
      for (let i = 0; i < 120; i++) {
        globalThis.scrollBy(0, 200);
        const now = await next();
        seen.push(now - before);
        before = now;
      }
      return seen;
    });
    tell("  a frame while it is scrolled", frames);
    const long = await page.evaluate(() => globalThis.long);
    const value = long.length === 0 ? "none" : `${long.length}, longest ${Math.max(...long).toFixed(0)} ms`;
    figures.push({ what: "  tasks of the page over 50 ms in all that", value });
  } finally {
    await browser.close();
  }
}

const runs = [];
for (let i = 0; i < ROUNDS; i++) runs.push(await overview());
tell("the login's answer: median, longest", runs.map((r) => r.login));
tell("the overview after it, nothing cached", runs.map((r) => r.overview), "<= 1000 ms");
await list();
console.log(JSON.stringify(figures));
