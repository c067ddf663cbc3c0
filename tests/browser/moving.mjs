// SPDX-License-Identifier: Apache-2.0
// The address of the interface changes from the browser: the page says where to go on, the gateway asks there
// whether to keep it, and an address that is left out is let in again when nobody confirms.
import { args, base, check, login, shot, walk } from "./lib.mjs";

const row = (page, key) => page.getByRole("row").filter({ has: page.getByText(key, { exact: true }) });
const moved = (page) => page.getByRole("dialog", { name: "This page may not be reached any more" });

async function change(page, key, value) {
  await row(page, key).getByRole("button", { name: "Change" }).click();
  const dialog = page.getByRole("dialog", { name: key });
  await dialog.getByLabel("Value").fill(value);
  await dialog.getByRole("button", { name: "Save" }).click();
  await dialog.waitFor({ state: "detached" });
}

await walk({ lost: true, also: `https://127.0.0.1:${args.next}` }, async (page) => {
  await login(page);
  await page.goto(`${base}/gateway?tab=listeners`);
  const link = page.getByRole("link", { name: "Settings of admin" });
  await link.waitFor();
  await shot(page, "listeners-faces");
  await link.click();
  await row(page, "admin.bind").waitFor();
  await change(page, "admin.bind", `127.0.0.1:${args.next}`);
  await moved(page).getByText(`does not listen on 127.0.0.1:${args.port} any more`).waitFor();
  await shot(page, "moved");
  await moved(page).getByRole("link", { name: `https://127.0.0.1:${args.next}` }).click();
  const held = page.getByRole("region", { name: "Keep these settings?" });
  await held.getByText(/goes back in \d+ s/).waitFor();
  check("the page is at the new address", page.url().startsWith(`https://127.0.0.1:${args.next}/gateway`));
  await held.getByRole("button", { name: "Keep them" }).click();
  await held.waitFor({ state: "detached" });

  // An own address that is left out: what the page says, and that it is undone.
  await page.goto(`https://127.0.0.1:${args.next}/gateway?q=admin.allow-from`);
  await change(page, "admin.allow-from", "192.0.2.0/24");
  await moved(page).getByText("does not let in 127.0.0.1, where you are").waitFor();
  await shot(page, "left-out");
  // The page comes again by itself.
  await moved(page).waitFor({ state: "detached", timeout: 120000 });
  await row(page, "admin.allow-from").waitFor();
  check("it is as before", (await row(page, "admin.allow-from").getByText("192.0.2.0/24").count()) === 0);
});
