// SPDX-License-Identifier: Apache-2.0
// Changes and their way back: a setting that goes back by itself, one that is kept, a revision that is undone, and
// the gateway as a document that is saved and applied again.
import { readFileSync, writeFileSync } from "node:fs";
import { args, base, check, login, shot, walk } from "./lib.mjs";

const row = (page, key) => page.getByRole("row").filter({ has: page.getByText(key, { exact: true }) });

async function change(page, key, value) {
  await row(page, key).getByRole("button", { name: "Change" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("Value").fill(value);
  await dialog.getByRole("button", { name: "Save" }).click();
  await dialog.waitFor({ state: "detached" });
}

await walk({}, async (page) => {
  await login(page);
  await page.goto(`${base}/gateway?q=listener.walk`);
  const key = "listener.walk.max-connections";
  await change(page, key, "77");
  const held = page.getByRole("region", { name: "Keep these settings?" });
  await held.getByText(/goes back in \d+ s/).waitFor();
  check("the held setting is named", await held.getByText(key).isVisible());
  await shot(page, "held");
  await held.getByRole("button", { name: "Undo now" }).click();
  await held.waitFor({ state: "detached" });
  await row(page, key).getByText("77", { exact: true }).waitFor({ state: "detached" });
  await change(page, key, "78");
  await held.getByRole("button", { name: "Keep them" }).click();
  await held.waitFor({ state: "detached" });
  await row(page, key).getByText("78", { exact: true }).waitFor();

  await page.goto(`${base}/gateway?tab=changes&object=${key}`);
  await page.getByRole("button", { name: /^Show change/ }).first().click();
  const dialog = page.getByRole("dialog");
  await dialog.getByText("value: 78").waitFor();
  await shot(page, "revision");
  await dialog.getByRole("button", { name: "Undo this change" }).click();
  await dialog.waitFor({ state: "detached" });
  await page.getByText("config.undo").or(page.getByText("revision.revert")).first().waitFor();
  await page.goto(`${base}/gateway?q=listener.walk`);
  await held.getByRole("button", { name: "Keep them" }).click();
  await held.waitFor({ state: "detached" });

  await page.goto(`${base}/gateway?tab=backup`);
  const saving = page.waitForEvent("download");
  await page.getByRole("button", { name: "Download it" }).click();
  const path = `${args.dir}/saved.json`;
  await (await saving).saveAs(path);
  const state = JSON.parse(readFileSync(path, "utf8"));
  check("the document has the devices", state.devices.some((d) => d.name === "pump-1"));
  await page.getByLabel("Document (JSON)").setInputFiles(path);
  await page.getByText(/^Nothing to change/).waitFor();
  writeFileSync(
    path,
    JSON.stringify({ version: 1, roles: [{ name: "from-a-file" }], devices: [{ name: "new-from-a-file" }] }),
  );
  await page.getByLabel("Document (JSON)").setInputFiles([]);
  await page.getByLabel("Document (JSON)").setInputFiles(path);
  await page.getByText("Role from-a-file").waitFor();
  await page.getByText(/^1 device is new here/).waitFor();
  await shot(page, "state-diff");
  await page.getByRole("button", { name: "Apply it" }).click();
  await page.getByText(/^Applied, as change/).waitFor();
  await page.getByRole("link", { name: "new-from-a-file" }).waitFor(); /* where it gets its password */
});
