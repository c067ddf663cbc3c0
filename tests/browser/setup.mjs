// SPDX-License-Identifier: Apache-2.0
// The first visit: a wrong code, a short password, then the first administrator; logging out and in again.
import { args, base, login, shot, walk } from "./lib.mjs";

await walk({ expected: [400, 401] }, async (page) => {
  await page.goto(`${base}/devices`);
  await page.getByRole("heading", { name: "Set up this gateway" }).waitFor();
  await shot(page, "setup");
  const fill = async (code, password) => {
    await page.getByLabel("Setup code").fill(code);
    await page.getByLabel("Your name").fill(args.name);
    await page.getByLabel("Password", { exact: true }).fill(password);
    await page.getByLabel("The password again").fill(password);
    await page.getByRole("button", { name: "Create the administrator" }).click();
  };
  await fill("AAAAA-AAAAA-AAAAA-AAAAA", args.password);
  await page.getByText("The setup code is wrong").or(page.getByText("the setup code is wrong")).waitFor();
  await fill(args.code, "short");
  await page.getByText("at least 10 are needed").waitFor();
  await fill(args.code.toLowerCase(), args.password);
  await page.getByRole("link", { name: "Overview" }).waitFor();
  await page.getByRole("heading", { name: "Devices" }).waitFor(); // the page that was asked for
  await page.getByRole("button", { name: "Log out" }).click();
  await page.getByRole("heading", { name: "Log in" }).waitFor();
  await page.getByLabel("Name").fill(args.name);
  await page.getByLabel("Password").fill("not the right one");
  await page.getByRole("button", { name: "Log in" }).click();
  await page.getByText("the name or the password is wrong").waitFor();
  await login(page);
});
