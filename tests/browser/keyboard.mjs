// SPDX-License-Identifier: Apache-2.0
// The keyboard alone: a dialog begins in its first field and gives the focus back, the arrow keys go through the menu,
// on a phone the menu closes with Escape, a page whose link is gone is entered at its content.
import { args, base, check, login, walk } from "./lib.mjs";

await walk({}, async (page) => {
  await login(page);
  const focused = () =>
    page.evaluate(() => {
      const e = document.activeElement;
      return e?.labels?.[0]?.textContent ?? e?.textContent?.trim() ?? "";
    });

  await page.goto(`${base}/devices/${args.device}`);
  await page.getByRole("button", { name: "Change" }).focus();
  await page.keyboard.press("Enter");
  await page.getByRole("dialog").waitFor();
  check("a dialog begins in its first field", (await focused()) === "Kind");
  await page.keyboard.press("Escape");
  await page.locator("dialog").waitFor({ state: "detached" }); // it is out of sight a moment before it is gone
  check("the focus goes back after Escape", (await focused()) === "Change");
  await page.keyboard.press("Enter");
  await page.getByRole("dialog").getByLabel("Note").fill("by the keyboard");
  await page.keyboard.press("Enter");
  await page.getByRole("dialog").waitFor({ state: "detached" });
  check("the focus goes back after saving", (await focused()) === "Change");

  const menu = page.getByRole("navigation", { name: "Pages" });
  await menu.getByRole("link", { name: "Devices" }).focus();
  await page.keyboard.press("ArrowDown");
  check("down", (await focused()) === "Certificates");
  await page.keyboard.press("End");
  check("to the end", (await focused()) === "Help");
  await page.keyboard.press("Home");
  check("to the beginning", (await focused()) === "Overview");

  await page.goto(`${base}/no-such-page`);
  await page.getByRole("link", { name: "To the overview" }).focus();
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: "Overview" }).waitFor();
  await page.waitForFunction(() => document.activeElement?.id === "content");

  await page.setViewportSize({ width: 360, height: 740 });
  await page.goto(`${base}/devices`);
  await page.getByRole("button", { name: "Menu" }).click();
  await menu.getByRole("link", { name: "Access" }).focus();
  await page.keyboard.press("Escape");
  await menu.waitFor({ state: "hidden" });
  check("the menu's button has the focus again", (await focused()) === "Menu");
  // The rows are cards, and are still a table for those who hear it.
  await page.getByRole("cell", { name: args.device }).first().waitFor();
  const box = await page.getByRole("cell", { name: args.device }).first().boundingBox();
  check("a cell fits a phone", box !== null && box.x >= 0 && box.x + box.width <= 360);
});
