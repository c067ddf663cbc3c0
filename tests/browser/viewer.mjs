// SPDX-License-Identifier: Apache-2.0
// A viewer sees everything and is offered no change; an operator is not offered what needs an administrator.
import { args, base, check, login, walk } from "./lib.mjs";

await walk({}, async (page) => {
  await login(page, "viewer");
  await page.goto(`${base}/devices/${args.device}`);
  await page.getByRole("heading", { name: args.device }).waitFor();
  await page.getByRole("region", { name: "Properties" }).waitFor();
  for (const name of ["Change", "Disable", "Remove", "Revoke", "Set a password"])
    check(`no button ${name} for a viewer`, (await page.getByRole("button", { name, exact: true }).count()) === 0);
  await page.goto(`${base}/gateway`);
  await page.getByRole("table").waitFor();
  for (const name of ["Administrators", "API tokens", "Audit log"])
    check(`no ${name} for a viewer`, (await page.getByRole("link", { name }).count()) === 0);
  await page.goto(`${base}/gateway?tab=audit`);
  await page.getByText("You may not see this").waitFor();
  check("no settings in its place", (await page.getByRole("table").count()) === 0);
  await page.getByRole("button", { name: "Log out" }).click();
  await page.getByRole("heading", { name: "Log in" }).waitFor();
  await login(page, "operator");
  await page.goto(`${base}/gateway`);
  await page.getByRole("link", { name: "Audit log" }).waitFor();
  check("no administrators for an operator", (await page.getByRole("link", { name: "Administrators" }).count()) === 0);
});
