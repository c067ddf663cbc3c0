// SPDX-License-Identifier: Apache-2.0
// The list of devices in the order that its heads are asked for, over more than one page, by the keyboard too.
import { base, check, login, shot, walk } from "./lib.mjs";

const one = (n) => `sorted-${String(n).padStart(2, "0")}`;

await walk({}, async (page) => {
  await login(page);
  await page.goto(`${base}/devices?q=sorted-`);
  const head = (name) => page.getByRole("columnheader", { name });
  const sorted = (name) => head(name).getAttribute("aria-sort");
  const first = (name) => page.locator("tbody tr:first-child").getByRole("link", { name, exact: true }).waitFor();
  await first(one(0));
  check("the list is by name", (await sorted("Name")) === "ascending");
  check("a head that is no order", (await head("Roles").getByRole("button").count()) === 0);

  await head("Kind").getByRole("button").click();
  await first(one(59));
  check("by kind", (await sorted("Kind")) === "ascending" && (await sorted("Name")) === null);
  await page.getByRole("button", { name: "More" }).click();
  await page.getByRole("link", { name: one(0), exact: true }).waitFor();
  const names = await page.locator("tbody tr td:nth-child(2)").allInnerTexts();
  check("its pages are one list", names.join() === Array.from({ length: 60 }, (_, i) => one(59 - i)).join());
  await shot(page, "devices-sorted");

  await head("Kind").getByRole("button").focus();
  await page.keyboard.press("Enter");
  await first(one(0));
  check("the other way round", (await sorted("Kind")) === "descending");
  await page.reload();
  await first(one(0));
  check("the order is in the address", (await sorted("Kind")) === "descending");

  await page.goto(`${base}/devices`);
  for (const name of ["Certificate ends", "Added"]) {
    await head(name).getByRole("button").click();
    await first("pump-1");
    await head(name).getByRole("button").click();
    await first(one(59));
    check(`by ${name}, the other way round`, (await sorted(name)) === "descending");
  }
});
