// SPDX-License-Identifier: Apache-2.0
// A long list of devices: searched, paged through, and used by the keyboard alone; and what the first load brings.
import { args, base, check, login, shot, walk } from "./lib.mjs";

const FIRST_LOAD = 150 * 1024; // bytes, compressed
const PAGE = 50;
const nameOf = (i) => `device-${String(i).padStart(6, "0")}`;

await walk({}, async (page) => {
  await login(page);
  await page.getByText("live", { exact: true }).waitFor();
  const files = await page.evaluate(() =>
    [...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")]
      .filter((f) => !f.name.includes("/api/"))
      .map((f) => ({ name: f.name, bytes: f.encodedBodySize })),
  );
  const bytes = files.reduce((n, f) => n + f.bytes, 0);
  check("the overview came as files", files.some((f) => f.name.includes("/overview-")) && bytes > 10000);
  check(`the first load is at most ${FIRST_LOAD} bytes, not ${bytes}`, bytes <= FIRST_LOAD);

  const links = page.locator("tbody a");
  const names = () => links.allTextContents();
  /** Waits for the list to show so many rows, the first of them this one. */
  const shown = (n, first) =>
    page.waitForFunction(
      ([count, name]) => {
        const rows = document.querySelectorAll("tbody a");
        return rows.length === count && (count === 0 || rows[0].textContent === name);
      },
      [n, first],
    );
  const more = page.getByRole("button", { name: "Show more" });
  const search = page.getByRole("searchbox");

  await page.goto(`${base}/devices`);
  await shown(PAGE, nameOf(0));
  for (let n = 2 * PAGE; n <= 4 * PAGE; n += PAGE) {
    await more.click();
    await shown(n, nameOf(0));
    await page.getByText(`${n} of ${args.devices.toLocaleString("en")}`).waitFor();
  }
  check("four pages in order, nobody twice", (await names()).every((name, i) => name === nameOf(i)));

  // The whole list is searched, not what is shown of it.
  const last = nameOf(args.devices - 1);
  await search.fill(last.slice(3).toUpperCase());
  await shown(1, last);
  check("no more than that", (await more.count()) === 0);
  check("the search is in the address", new URL(page.url()).searchParams.get("q") === last.slice(3).toUpperCase());
  await page.reload();
  await shown(1, last);

  // More than a page fits: it goes on among those that fit.
  await search.fill("device-0001");
  await shown(PAGE, nameOf(100));
  await more.click();
  await shown(2 * PAGE, nameOf(100));
  check("a hundred fit", (await more.count()) === 0);
  check("in order", (await names()).every((name, i) => name === nameOf(100 + i)));

  // A page that comes late belongs to a list that is not shown any more; one that is asked for twice comes once.
  await search.fill("device-00");
  await shown(PAGE, nameOf(0));
  let letGo;
  const held = new Promise((done) => (letGo = done));
  const asked = [];
  await page.route(/\/devices\?.*after=/, async (route) => {
    asked.push(route.request().url());
    await held;
    await route.continue().catch(() => undefined); // the page may want it no longer
  });
  await more.evaluate((button) => {
    button.click();
    button.click();
  });
  await search.fill("device-0012");
  await shown(PAGE, nameOf(1200));
  letGo();
  await page.unrouteAll({ behavior: "wait" });
  check("asked once", asked.length === 1);
  await more.click();
  await shown(2 * PAGE, nameOf(1200));
  check("only what fits", (await names()).every((name, i) => name === nameOf(1200 + i)));

  // Nor does a list grow by a page of the next one, while that is on its way.
  await search.fill("device-00");
  await shown(PAGE, nameOf(0));
  const beyond = [];
  const order = new Promise((done) => (letGo = done));
  await page.route(/\/devices\?/, async (route) => {
    const url = route.request().url();
    if (url.includes("after=")) beyond.push(url);
    else if (url.includes("order=desc")) await order;
    await route.continue().catch(() => undefined);
  });
  const turned = page.waitForRequest(/order=desc/);
  await page.getByRole("columnheader", { name: "Name" }).getByRole("button").click();
  await turned;
  await more.click();
  await page.evaluate(() => fetch("/api/v1/status")); // behind whatever was asked
  check("nothing is asked of a list that is not there yet", beyond.length === 0);
  letGo();
  await shown(PAGE, nameOf(args.devices - 1));
  await more.click();
  await shown(2 * PAGE, nameOf(args.devices - 1));
  check("one list", (await names()).every((name, i) => name === nameOf(args.devices - 1 - i)));
  await page.unrouteAll({ behavior: "wait" });
  await page.getByRole("columnheader", { name: "Name" }).getByRole("button").click();
  await shown(PAGE, nameOf(0));

  await search.fill("no-such-device");
  await page.getByText("No device fits").waitFor();
  await shot(page, "list-none");
  await page.getByRole("button", { name: "Show all" }).click();
  await shown(PAGE, nameOf(0));
  await page.getByPlaceholder("Only this group").fill("group-07");
  await page.keyboard.press("Enter");
  await shown(Math.min(PAGE, args.devices / args.groups), nameOf(7));

  // By the keyboard alone: search, the next page, one of it, and back to what was searched.
  await page.goto(`${base}/devices`);
  await shown(PAGE, nameOf(0));
  const tabTo = async (what, is) => {
    for (let i = 0; i < 200; i++) {
      await page.keyboard.press("Tab");
      if (await page.evaluate(is, what)) return;
    }
    throw new Error(`the keyboard does not reach "${what}"`);
  };
  const text = (wanted) => document.activeElement?.textContent?.trim() === wanted;
  await tabTo("search", (type) => document.activeElement?.getAttribute("type") === type);
  await page.keyboard.type("device-001");
  await shown(PAGE, nameOf(1000));
  await tabTo("Show more", text);
  await page.keyboard.press("Enter");
  await shown(2 * PAGE, nameOf(1000));
  check("the focus stays for the next page", await page.evaluate(text, "Show more"));
  await page.keyboard.press("Enter");
  await shown(3 * PAGE, nameOf(1000));
  await shot(page, "list-long");
  await search.focus();
  await tabTo(nameOf(1060), text);
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: nameOf(1060) }).waitFor();
  await page.goBack();
  await shown(PAGE, nameOf(1000));
  check("what was searched stands there again", (await search.inputValue()) === "device-001");
});
