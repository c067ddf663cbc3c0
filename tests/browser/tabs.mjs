// SPDX-License-Identifier: Apache-2.0
// Two tabs of one browser: one stream for both, told to both, and taken over when its tab is closed.
import { base, check, login, walk } from "./lib.mjs";

await walk({}, async (first) => {
  const streams = [];
  first.context().on("request", (r) => {
    if (r.url() === `${base}/api/v1/stream`) streams.push(r.frame().page());
  });
  await login(first);
  await first.getByText("live", { exact: true }).waitFor();
  const second = await first.context().newPage();
  await second.goto(`${base}/`);
  await second.getByText("live", { exact: true }).waitFor();
  check("one stream for both", streams.length === 1 && streams[0] === first);
  await first.close();
  for (let i = 0; streams.length === 1; i++) {
    check("the second takes over", i < 600);
    await second.waitForTimeout(50);
  }
  check("it is the second's", streams.length === 2 && streams[1] === second);
  await second.getByText("live", { exact: true }).waitFor();

  // Logging out in one is the end in all.
  const third = await second.context().newPage();
  await third.goto(`${base}/devices`);
  await third.getByRole("heading", { name: "Devices" }).waitFor();
  await third.getByRole("button", { name: "Log out" }).click();
  await second.getByText("The session has ended").waitFor();
});
