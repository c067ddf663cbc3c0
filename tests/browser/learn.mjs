// SPDX-License-Identifier: Apache-2.0
// A device is refused, the refusal is acknowledged; it learns, rules are proposed and saved; a draft is asked about
// before it is saved.
import { execFileSync } from "node:child_process";
import { args, base, check, login, shot, walk } from "./lib.mjs";

/** True: the message was allowed. MQTT 5 tells in the acknowledgement. */
function publish(topic) {
  const words = ["-h", "localhost", "-p", args.mqtts, "-V", "5", "-q", "1", "-t", topic, "-m", "x", "-i", "learner"];
  const files = ["--cafile", "ca.crt", "--cert", "device.crt", "--key", "device.key"];
  try {
    const said = execFileSync("mosquitto_pub", [...words, ...files, "-d"].map(String), {
      cwd: args.bundle,
      encoding: "utf8",
      timeout: 60000,
      stdio: ["ignore", "pipe", "ignore"],
    });
    return !/RC:135/.test(said);
  } catch {
    return false;
  }
}

await walk({ expected: [400] }, async (page) => {
  await login(page);
  check("it may not yet", !publish("shop/learner/1/state"));

  await page.goto(`${base}/events?tab=groups&name=acl.denied&device=learner&state=open`);
  await page.getByRole("cell").getByRole("button", { name: "Acknowledge" }).click();
  await page.getByRole("dialog").getByLabel("Note").fill("a new device");
  await shot(page, "acknowledge");
  await page.getByRole("dialog").getByRole("button", { name: "Acknowledge" }).click();
  await page.getByText("No event fits").waitFor();
  await page.goto(`${base}/devices/learner`);
  await page.getByText("acknowledged by ann: a new device").waitFor();

  await page.getByRole("button", { name: "Let it learn" }).click();
  await page.getByRole("dialog").getByLabel("Days").fill("3");
  await page.getByRole("dialog").getByRole("button", { name: "Let it learn" }).click();
  await page.getByText("It may do whatever no rule denies").waitFor();
  check("it may now", publish("shop/learner/1/state") && publish("shop/learner/2/state"));
  for (let i = 0; ; i++) {
    await page.reload();
    await page.getByText("It may do whatever no rule denies").waitFor();
    if (await page.getByText("2 topics were noted").count()) break;
    check("the topics were noted", i < 60);
  }
  await page.getByRole("button", { name: "Propose rules" }).click();
  await page.getByText("+ allow device:learner publish shop/${device}/+/state").waitFor();
  await shot(page, "learn-proposal");
  await page.getByRole("button", { name: "Add this rule" }).click();
  await page.getByRole("dialog").waitFor({ state: "detached" });
  await page.getByText("It may do whatever no rule denies").waitFor({ state: "detached" });
  check("only what was learnt", publish("shop/learner/77/state") && !publish("shop/other/1/state"));

  await page.goto(`${base}/access?tab=why`);
  await page.getByRole("textbox", { name: "Not saved" }).fill("\n# a draft\nallow device:learner read shop/#");
  await page.getByRole("button", { name: "What would change?" }).click();
  await page.getByText('line 3: action: "read" is none').waitFor();
  await page.getByRole("textbox", { name: "Not saved" }).fill("allow device:learner publish shop/other/#");
  await page.getByRole("button", { name: "What would change?" }).click();
  await page.getByRole("cell", { name: "shop/other/1/state" }).waitFor();
  await page.getByRole("combobox", { name: "Device" }).fill("learner");
  await page.getByLabel("Topic, or for subscribe").fill("shop/other/1/state");
  await page.getByRole("button", { name: "May it?" }).click();
  await page.getByText("Line 1 below decides; it is not saved.").waitFor();
  check("nothing is saved by asking", !publish("shop/other/1/state"));
  await page.getByRole("button", { name: "Save these lines" }).click();
  await page.getByText("1 added, 0 removed.").waitFor();
  check("it is saved", publish("shop/other/1/state"));
});
