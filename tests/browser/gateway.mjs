// SPDX-License-Identifier: Apache-2.0
// The gateway itself: the log as it comes, the processes, a listener that is added, changed and removed; and the
// question whether to keep a setting, on every page, in every tab, over a reload.
import { createConnection } from "node:net";
import { args, base, check, login, shot, walk } from "./lib.mjs";

const port = args.free;
const reaches = () =>
  new Promise((done) => {
    const s = createConnection({ host: "127.0.0.1", port });
    s.on("connect", () => (s.destroy(), done(true)));
    s.on("error", () => done(false));
  });

await walk({ expected: [400] }, async (page) => {
  const bar = (p) => p.getByRole("region", { name: "Keep these settings?" });
  const keep = async (p) => {
    await bar(p).getByRole("button", { name: "Keep them" }).click();
    await bar(p).waitFor({ state: "detached" });
  };
  await login(page);

  await page.goto(`${base}/gateway?tab=system`);
  await page.getByRole("row").filter({ hasText: "vault" }).getByText("serving").waitFor();
  await shot(page, "system");

  await page.goto(`${base}/gateway?tab=log`);
  const log = page.getByRole("log");
  await log.getByText(/gatehouse .* serves/).waitFor();
  await page.getByLabel("Process").selectOption("vault");
  await log.getByText(/gatehouse .* serves/).waitFor({ state: "detached" });
  await log.getByText(/made the certificate authority/).first().waitFor();
  await page.getByLabel("Process").selectOption("");
  await page.getByLabel("Text").fill("added");
  await page.getByText("No line fits").or(log.getByText(/added/).first()).waitFor();

  // A listener; another tab hears of it and decides.
  const second = await page.context().newPage();
  await second.goto(`${base}/devices`);
  await second.getByRole("heading", { name: "Devices" }).waitFor();
  await page.goto(`${base}/gateway?tab=listeners`);
  await page.getByRole("button", { name: "Add a listener" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("Name").fill("sensors");
  await dialog.getByLabel("Addresses").fill("nowhere");
  await dialog.getByRole("button", { name: "Save" }).click();
  await dialog.getByText(/nowhere/).first().waitFor();
  await dialog.getByLabel("Addresses").fill(`127.0.0.1:${port}`);
  await dialog.getByLabel("Encryption (TLS)").selectOption("off");
  await dialog.getByLabel("Login by").selectOption("password");
  await shot(page, "listener-add");
  await dialog.getByRole("button", { name: "Save" }).click();
  await dialog.waitFor({ state: "detached" });
  await bar(page).getByText(/goes back in \d+ s/).waitFor();
  check("it listens at once", await reaches());
  await bar(second).waitFor();
  await page.goto(`${base}/certificates`);
  await bar(page).waitFor();
  await page.reload();
  await bar(page).waitFor();
  await shot(page, "held-everywhere");
  await keep(second);
  await bar(page).waitFor({ state: "detached" });

  await page.goto(`${base}/gateway?tab=listeners`);
  const change = page.getByRole("button", { name: "Change the listener sensors" });
  await change.click();
  await dialog.getByLabel("Largest packet").fill("64K");
  await dialog.getByLabel("Open to networks").fill("127.0.0.0/8");
  await dialog.getByRole("button", { name: "Save" }).click();
  await dialog.waitFor({ state: "detached" });
  await keep(page);
  await page.getByRole("row").filter({ hasText: "sensors" }).getByText("127.0.0.0/8").waitFor();
  await shot(page, "listeners");

  // What was emptied waits to be kept together with what was filled in.
  const open = page.getByRole("row").filter({ hasText: "sensors" });
  await change.click();
  await dialog.getByLabel("Open to networks").fill("");
  await dialog.getByLabel("Largest packet").fill("32K");
  await dialog.getByRole("button", { name: "Save" }).click();
  await dialog.waitFor({ state: "detached" });
  await open.getByText("everywhere").waitFor();
  await bar(page).getByText("listener.sensors.allow-from").waitFor();
  await bar(page).getByText("listener.sensors.max-packet").waitFor();
  await bar(page).getByRole("button", { name: "Undo now" }).click();
  await open.getByText("127.0.0.0/8").waitFor();

  await change.click();
  check("so is the other field", (await dialog.getByLabel("Largest packet").inputValue()) === "64K");
  check("what is in the file is not changed here", await dialog.getByLabel("Addresses").isEnabled());
  await dialog.getByRole("button", { name: "Remove this listener" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Remove", exact: true }).click();
  await bar(page).waitFor();
  await keep(page);
  await page.getByRole("row").filter({ hasText: "sensors" }).waitFor({ state: "detached" });
  check("it listens no more", !(await reaches()));
});
