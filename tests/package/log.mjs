// SPDX-License-Identifier: Apache-2.0
// The log page says of everything in args.expected, lists of words, who did it, from where and why, in one line.
import { args, base, login, shot, walk } from "../browser/lib.mjs";

await walk({}, async (page) => {
  await login(page);
  await page.goto(`${base}/events?severity=warning`);
  for (const words of args.expected) {
    let line = page.getByRole("listitem");
    for (const word of words) line = line.filter({ hasText: word });
    await line.first().waitFor();
  }
  await shot(page, "log");
});
