// SPDX-License-Identifier: Apache-2.0
// Every page in both themes and on a phone: no violation that axe finds, nothing wider than the screen, and the
// keyboard alone is enough.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { args, base, check, login, shot, walk } from "./lib.mjs";

const require = createRequire(new URL("../../webui/package.json", import.meta.url));
const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");
const rules = { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"] };

const paths = [
  "/",
  "/devices",
  `/devices/${args.device}`,
  "/add-device",
  "/import-devices",
  "/certificates",
  "/help",
  "/help/configuration",
  "/certificates?tab=codes",
  "/certificates?tab=requests",
  "/certificates?tab=authority",
  "/access",
  "/access?tab=roles",
  "/access?tab=why",
  "/access?tab=learn",
  "/events",
  "/events?tab=groups",
  "/check",
  "/test",
  "/gateway",
  "/gateway?tab=administrators",
  "/gateway?tab=tokens",
  "/gateway?tab=listeners",
  "/gateway?tab=limits",
  "/gateway?tab=system",
  "/gateway?tab=log",
  "/gateway?tab=changes",
  "/gateway?tab=audit",
  "/gateway?tab=backup",
  "/account",
  "/no-such-page",
];

async function settled(page) {
  await page.locator("main :is(h1, .empty)").first().waitFor();
  await page.waitForFunction(() => document.querySelector("main .spinner") === null);
}

async function violations(page) {
  await page.evaluate(axe);
  const found = await page.evaluate((r) => globalThis.axe.run(document, r), rules);
  return found.violations.map((v) => `${v.id}: ${v.help} (${v.nodes.map((n) => n.target.join(" ")).join(", ")})`);
}

await walk({}, async (page) => {
  const wrong = [];
  await login(page);
  for (const path of paths) {
    for (const colorScheme of ["light", "dark"]) {
      await page.emulateMedia({ colorScheme });
      await page.goto(base + path);
      await settled(page);
      for (const v of await violations(page)) wrong.push(`${path} (${colorScheme}): ${v}`);
      await shot(page, `page${path.replaceAll(/[/?=]/g, "-")}-${colorScheme}`);
    }
  }
  await page.setViewportSize({ width: 360, height: 740 });
  for (const path of paths) {
    await page.goto(base + path);
    await settled(page);
    const width = await page.evaluate(() => document.documentElement.scrollWidth);
    if (width > 360) wrong.push(`${path} is ${width} wide on a phone`);
    await shot(page, `phone${path.replaceAll(/[/?=]/g, "-")}`);
  }
  if (wrong.length > 0) throw new Error(wrong.join("\n"));

  // By the keyboard alone: to the devices, to one of them, its dialog and out of it.
  await page.setViewportSize({ width: 1280, height: 800 });
  await page.goto(`${base}/`);
  await settled(page);
  const focused = () => page.evaluate(() => document.activeElement?.textContent?.trim() ?? "");
  const tabTo = async (text) => {
    for (let i = 0; i < 60; i++) {
      await page.keyboard.press("Tab");
      if ((await focused()) === text) return;
    }
    throw new Error(`the keyboard does not reach "${text}"`);
  };
  await page.keyboard.press("Tab");
  check("the first stop is the way past the menu", (await focused()) === "Skip to the content");
  await tabTo("Devices");
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: "Devices" }).waitFor();
  await tabTo(args.device);
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: args.device }).waitFor();
  await tabTo("Change");
  await page.keyboard.press("Enter");
  await page.getByRole("dialog").waitFor();
  await page.keyboard.press("Escape");
  await page.getByRole("dialog").waitFor({ state: "detached" });
});
