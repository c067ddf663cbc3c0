// SPDX-License-Identifier: Apache-2.0
// Who is there and who was: the list by state and by last seen, narrowed by state and kind, live; the page of a device.
// pump-1 is connected when the walk begins and is thrown out on the way; fan-1 was never there, fan-2 is disabled.
import { execFileSync } from "node:child_process";
import { args, base, check, login, shot, walk } from "./lib.mjs";

await walk({}, async (page) => {
  await login(page);
  const rows = page.locator("tbody tr");
  /** Waits until the list shows these, in this order. */
  const shown = (...names) =>
    page.waitForFunction(
      (wanted) => [...document.querySelectorAll("tbody a[href^='/devices/']")].map((d) => d.textContent).join() === wanted,
      names.join(),
    );
  const row = (name) => page.getByRole("row", { name });
  const head = (name) => page.getByRole("columnheader", { name });
  const state = page.getByLabel("In which state");

  await page.getByRole("link", { name: "Devices connected" }).click();
  await shown("pump-1");
  check("the overview leads to those connected", (await state.inputValue()) === "connected");
  await state.selectOption("in any state");
  await shown("fan-1", "fan-2", "pump-1");
  await page.getByText("3 devices", { exact: true }).waitFor();
  check("who is there", (await row("pump-1").innerText()).includes("connected\tnow"));
  check("who never was", /never connected\tnever/.test(await row("fan-1").innerText()));

  await head("Last seen").getByRole("button").click();
  await shown("fan-1", "fan-2", "pump-1");
  await head("Last seen").getByRole("button").click();
  await shown("pump-1", "fan-2", "fan-1");
  check("by last seen", (await head("Last seen").getAttribute("aria-sort")) === "descending");
  await head("State").getByRole("button").click();
  await shown("pump-1", "fan-1", "fan-2");
  await shot(page, "devices-state");
  await page.getByPlaceholder("Only this kind").fill("fan");
  await page.keyboard.press("Enter");
  await shown("fan-1", "fan-2");
  await state.selectOption("disabled");
  await shown("fan-2");
  await page.getByText("1 device", { exact: true }).waitFor();
  await page.reload();
  await shown("fan-2");
  check("the filters are in the address", (await state.inputValue()) === "disabled");
  await state.selectOption("connected");
  await page.getByText("No device fits").waitFor();
  await page.getByRole("button", { name: "Show all" }).click();
  await shown("pump-1", "fan-1", "fan-2");

  await page.getByRole("link", { name: "pump-1", exact: true }).click();
  const facts = page.getByRole("region", { name: "Properties" });
  await facts.getByText("from 127.0.0.1, listener mqtts").waitFor();
  check("it is there now", /Last seen\s+now\s/.test(await facts.innerText()));
  await shot(page, "device-seen");

  // The list follows when it goes, without being asked.
  await page.goto(`${base}/`);
  await page.getByText("live", { exact: true }).waitFor();
  await page.getByRole("link", { name: "Devices connected" }).click();
  await shown("pump-1");
  execFileSync(args.gatehouse, ["--socket", args.socket, "client", "remove", "pump-1"]);
  await rows.first().waitFor({ state: "detached" });
  await page.getByText("No device fits").waitFor();
  await state.selectOption("not connected");
  await shown("pump-1");
  check("when it was there", / ago|\bnow\b/.test(await row("pump-1").innerText()));
  await page.getByRole("link", { name: "pump-1", exact: true }).click();
  await facts.getByText("from 127.0.0.1, listener mqtts").waitFor();
  check("it is not there now", !/Last seen\s+never/.test(await facts.innerText()));
});
