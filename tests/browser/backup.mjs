// SPDX-License-Identifier: Apache-2.0
// A backup in the browser: without a passphrase of root the page says how to set one, with it the file comes.
import { readFileSync } from "node:fs";
import { args, base, check, login, shot, walk } from "./lib.mjs";

await walk({}, async (page) => {
  await login(page);
  await page.goto(`${base}/gateway?tab=backup`);
  const card = page.getByRole("region", { name: "Backup", exact: true });
  const make = card.getByRole("button", { name: "Make a backup and download it" });
  if (args.ready) {
    const saving = page.waitForEvent("download");
    await make.click();
    const file = await saving;
    check("its name has the day", /^gatehouse-\d{4}-\d\d-\d\d\.backup$/.test(file.suggestedFilename()));
    await file.saveAs(args.file);
    check("it is a backup", readFileSync(args.file).subarray(0, 16).toString() === "gatehouse backup");
    await card.getByText("Last backup").waitFor();
    await shot(page, "backup");
  } else {
    await card.getByText("sudo gatehouse backup set").waitFor();
    check("nothing to press", (await make.count()) === 0);
    await shot(page, "backup-unset");
  }
});
