// SPDX-License-Identifier: Apache-2.0
// The authority of a locked gateway: what it gives to others as files, and that it is changed elsewhere.
import { readFileSync } from "node:fs";
import { args, base, check, login, shot, walk } from "./lib.mjs";

async function saved(page, button) {
  const [file] = await Promise.all([page.waitForEvent("download"), page.getByRole("button", { name: button }).click()]);
  return { name: file.suggestedFilename(), content: readFileSync(await file.path(), "utf8") };
}

await walk({}, async (page) => {
  await login(page);
  await page.goto(`${base}/certificates?tab=authority`);
  await page.getByText("The authority is locked").waitFor();
  check("the lists have an end", (await page.locator(".alert time, [role=alert] time").count()) > 0);
  await page.getByText("on this gateway, under a passphrase").first().waitFor();
  const roots = await saved(page, "Save the roots");
  check("the roots are a file", roots.name === "roots.pem" && roots.content === args.roots);
  const lists = await saved(page, "Save the revocation lists");
  check("the lists are a file", lists.name === "crl.pem" && lists.content === args.lists);
  const there = page.getByLabel("On the gateway itself").first();
  check("commands for what is done there", (await there.innerText()).includes("gatehouse ca unlock"));
  check("nothing here changes it", (await page.locator("main button.danger").count()) === 0);
  await shot(page, "authority-locked");
});
