// SPDX-License-Identifier: Apache-2.0
// The security check from the overview: a finding with its cure, muted with a reason and counted again.
import { base, check, login, shot, walk } from "./lib.mjs";

await walk({}, async (page) => {
  await login(page);
  await page.locator("main").getByRole("link", { name: "Security check" }).click();
  await page.getByRole("heading", { name: "Security check" }).waitFor();
  const score = page.getByRole("region", { name: "Score" });
  const before = await score.innerText();
  const root = page.getByRole("listitem").filter({ hasText: "ca.root-here" });
  await root.getByText("gatehouse ca export-root FILE").waitFor();
  await shot(page, "check");
  await root.getByRole("button", { name: "Mute" }).click();
  await page.getByLabel("Why").fill("a box for trying things");
  await page.getByRole("dialog").getByRole("button", { name: "Mute" }).click();
  await root.getByText("a box for trying things").waitFor();
  check("the score is better", (await score.innerText()) !== before);
  await shot(page, "check-muted");
  await root.getByRole("button", { name: "Count it again" }).click();
  await root.getByRole("button", { name: "Mute" }).waitFor();
  check("the score is what it was", (await score.innerText()).split("of")[0] === before.split("of")[0]);
  await root.getByRole("link", { name: "Go there" }).click();
  await page.getByRole("heading", { name: "Certificates" }).waitFor();

  // A viewer is offered no muting.
  await page.getByRole("button", { name: "Log out" }).click();
  await page.getByRole("heading", { name: "Log in" }).waitFor();
  await login(page, "viewer");
  await page.goto(`${base}/check`);
  await page.getByText("gatehouse ca export-root FILE").waitFor();
  check("no muting for a viewer", (await page.getByRole("button", { name: "Mute" }).count()) === 0);
  await page.getByRole("link", { name: "Test client" }).click();
  await page.getByRole("heading", { name: "Topics" }).waitFor();
  check("no publishing for a viewer", (await page.getByRole("region", { name: "Publish a message" }).count()) === 0);
});
