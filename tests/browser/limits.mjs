// SPDX-License-Identifier: Apache-2.0
// Who may not come: a network that is banned and let in again, an administrator who has to wait and then need not any
// more; and the limits.
import { args, base, check, login, shot, walk } from "./lib.mjs";

await walk({ expected: [400] }, async (page, browser) => {
  const bans = async () => (await (await page.context().request.get(`${base}/api/v1/bans`)).json()).items;
  const row = (text) => page.getByRole("region", { name: "Who may not come now" }).getByRole("row").filter({ hasText: text });
  await login(page);
  await page.goto(`${base}/gateway?tab=limits`);
  await page.getByText("Nobody is kept out").waitFor();
  await page.getByRole("button", { name: "Ban a network" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("Network").fill("192.0.2.1/24");
  await dialog.getByRole("button", { name: "Ban a network" }).click();
  await dialog.getByText(/is no network/).first().waitFor();
  await dialog.getByLabel("Network").fill("192.0.2.0/24");
  await dialog.getByLabel("For").selectOption({ label: "one week" });
  await dialog.getByLabel("Reason").fill("a scanner");
  const began = Date.now();
  await dialog.getByRole("button", { name: "Ban a network" }).click();
  await dialog.waitFor({ state: "detached" });
  await row("192.0.2.0/24").getByText("a scanner").waitFor();
  await row("192.0.2.0/24").getByText(args.name, { exact: true }).waitFor();
  const [ban] = await bans();
  check("the gateway has it", ban.source === "192.0.2.0/24" && ban.kind === "ban" && ban.reason === "a scanner");
  const days = (Date.parse(ban.until) - began) / 86400000;
  check(`until in a week (${days} days)`, days > 6.9 && days < 7.1);
  await shot(page, "bans");
  await page.getByRole("button", { name: /192\.0\.2\.0\/24/ }).click();
  await row("192.0.2.0/24").waitFor({ state: "detached" });
  check("the gateway has let it in", (await bans()).length === 0);

  // Whoever waits comes into the list by itself. Each wrong password after a wait makes the next one longer: until
  // there is time to look at it.
  const stranger = await browser.newContext({ ignoreHTTPSErrors: true });
  const ahead = async () => {
    const [waits] = (await bans()).filter((b) => b.account === "olga");
    return waits ? Date.parse(waits.until) - Date.now() : 0;
  };
  for (let i = 0; (await ahead()) < 10000; i++) {
    check("a wrong password is waited for", i < 600);
    await stranger.request.post(`${base}/api/v1/session`, { data: { name: "olga", password: "wrong wrong wrong" } });
    await page.waitForTimeout(200);
  }
  await row("olga").getByText("waits", { exact: true }).waitFor();
  await shot(page, "waiting");
  await row("olga").getByRole("button").click();
  await row("olga").waitFor({ state: "detached" });
  check("nobody has to wait", (await bans()).length === 0);

  const limits = page.getByRole("region", { name: "Limits" });
  await limits.getByRole("row").filter({ hasText: "store.spool-max-size" }).getByText("1.0 GiB").waitFor();
});
