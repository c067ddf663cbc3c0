// SPDX-License-Identifier: Apache-2.0
// The test client with a real client beside it: what it publishes is seen, and the other way; retained messages are
// found and taken away; what a device may not do is refused.
import { execFileSync } from "node:child_process";
import { args, base, check, login, shot, walk } from "./lib.mjs";

const gatehouse = (...words) =>
  execFileSync(args.gatehouse, ["--socket", args.socket, ...words], { encoding: "utf8", timeout: 60000 });

await walk({ expected: [404, 422] }, async (page) => {
  await login(page);
  gatehouse("publish", "hall/lamp/state", '{"on":true}', "--retain");
  await page.getByRole("link", { name: "Test client" }).click();
  await page.getByRole("heading", { name: "Test client" }).waitFor();
  const topics = page.getByRole("region", { name: "Topics" });
  await topics.getByRole("button", { name: "state", exact: true }).waitFor(); // retained from before
  await page.getByText("Waiting for the next message…").waitFor();

  // What others publish.
  gatehouse("publish", "hall/fan/state", "turning");
  const messages = page.getByRole("list", { name: "Messages" });
  await messages.getByText("hall/fan/state").waitFor();
  await messages.getByText("turning").waitFor();

  // JSON, hexadecimal.
  await topics.getByRole("button", { name: "state", exact: true }).last().click();
  await topics.getByText('{"on":true}').waitFor();
  await page.getByLabel("Payload as").selectOption("hex");
  await topics.getByText("7b 22 6f 6e").waitFor();
  await page.getByLabel("Payload as").selectOption("json");
  await topics.getByText('"on": true').waitFor();
  await shot(page, "test-client");

  // What this page publishes.
  const form = page.getByRole("region", { name: "Publish a message" });
  await form.getByLabel("Topic").fill("hall/door");
  await form.getByLabel("Payload").fill("open");
  await form.getByLabel("retain").check();
  await form.getByRole("button", { name: "Publish" }).click();
  await page.getByText("Published; nobody subscribes to it.").waitFor();
  await messages.getByText("hall/door").waitFor();
  check("it is retained", gatehouse("retained", "list", "hall/door").includes("open"));

  // A retained message is taken away.
  await topics.getByRole("button", { name: "door", exact: true }).click();
  await topics.getByRole("button", { name: "Take it away" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Remove" }).click();
  await page.getByText("The retained message is removed.").waitFor();
  await topics.getByRole("button", { name: "Take it away" }).waitFor({ state: "detached" });

  // Through the eyes of a device.
  await page.getByLabel("As device").fill(args.device);
  await page.getByRole("button", { name: "Watch" }).click();
  await page.getByText(`Published as ${args.device}`).waitFor();
  await form.getByLabel("Topic").fill("hall/door");
  await form.getByRole("button", { name: "Publish" }).click();
  await page.getByText(`${args.device} may not publish to hall/door`).waitFor();
  await shot(page, "test-client-device");

  // A device that does not exist.
  await page.goto(`${base}/test?as=nobody`);
  await page.getByText('there is no device "nobody"').first().waitFor();
});
