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

await walk({ expected: [400, 404] }, async (page) => {
  await login(page);
  check("it may not yet", !publish("shop/learner/1/state"));

  await page.goto(`${base}/events?tab=groups&name=acl.denied&device=learner&state=open`);
  await page.getByRole("cell").getByRole("button", { name: "Acknowledge" }).click();
  await page.getByRole("dialog").getByLabel("Note").fill("a new device");
  await shot(page, "acknowledge");
  await page.getByRole("dialog").getByRole("button", { name: "Acknowledge" }).click();
  await page.getByText("No event fits").waitFor();
  await page.getByRole("button", { name: "Undo" }).click();
  await page.getByRole("cell").getByRole("button", { name: "Acknowledge" }).click();
  await page.getByRole("dialog").getByLabel("Note").fill("a new device");
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

  // What nobody has applied is tried: the rows say what is wrong with them, the effect is shown, "why?" judges with it.
  await page.goto(`${base}/access`);
  await page.getByRole("button", { name: "Add a rule" }).click();
  const rules = page.getByRole("group", { name: "Rules" });
  await rules.getByRole("combobox", { name: "For whom" }).fill("device:learner");
  await rules.getByRole("textbox", { name: "Topics" }).fill("shop/other#");
  await page.getByText("# must stand alone behind a slash").waitFor();
  check("it cannot be applied", await page.getByRole("button", { name: "Apply" }).isDisabled());
  await rules.getByRole("textbox", { name: "Topics" }).fill("shop/other/#");
  await rules.getByRole("textbox", { name: "Topics" }).press("Enter");
  await page.getByRole("button", { name: "Edit: new rule" }).waitFor();
  await page.getByRole("cell", { name: "shop/other/1/state" }).waitFor();
  await shot(page, "rules-draft");
  await page.getByRole("link", { name: "Why?" }).click();
  await page.getByText("Judged with 1 change that nobody has applied.").waitFor();
  await page.getByRole("combobox", { name: "Device" }).fill("learner");
  await page.getByLabel("Topic, or for subscribe").fill("shop/other/1/state");
  await page.getByRole("button", { name: "May it?" }).click();
  await page.getByText("“allow device:learner publish shop/other/#” decides").waitFor();
  check("nothing is saved by asking", !publish("shop/other/1/state"));
  await page.getByRole("link", { name: "To the changes" }).click();

  // The keyboard moves the row; what it was is not lost; it holds when it is applied, and not when that is undone.
  const edit = page.getByRole("button", { name: "Edit: new rule" });
  await edit.focus();
  await page.keyboard.press("Alt+ArrowDown");
  await rules.getByRole("row").filter({ hasText: "shop/other/#" }).getByRole("cell", { name: "-1", exact: true }).waitFor();
  await page.getByRole("button", { name: "Discard" }).click();
  await page.getByText("The changes are discarded.").waitFor();
  await page.getByRole("button", { name: "Undo" }).click();
  await edit.waitFor();
  await page.getByRole("button", { name: "Apply" }).click();
  await page.getByText("Applied: 1 added, 0 removed.").waitFor();
  check("it is saved", publish("shop/other/1/state"));
  await page.getByRole("button", { name: "Undo" }).last().click();
  await page.getByText("The rules are as before.").waitFor();
  check("it holds no longer", !publish("shop/other/1/state"));

  // A rule that the gateway refuses is told at its row, and stays to be mended.
  await page.getByRole("button", { name: "Add a rule" }).click();
  await rules.getByRole("combobox", { name: "For whom" }).fill("device:nobody-here");
  await rules.getByRole("textbox", { name: "Topics" }).fill("a");
  await page.getByRole("button", { name: "Apply" }).click();
  await rules.getByRole("alert").filter({ hasText: 'there is no device "nobody-here"' }).waitFor();

  // A saved rule is taken away and comes back.
  await page.getByRole("button", { name: "Discard" }).click();
  const row = rules.getByRole("row").filter({ hasText: "shop/${device}/+/state" });
  await row.getByRole("button", { name: "Remove" }).click();
  await page.getByRole("button", { name: "Apply" }).click();
  await page.getByText("Applied: 0 added, 1 removed.").waitFor();
  await row.waitFor({ state: "detached" });
  await page.getByRole("button", { name: "Undo" }).last().click();
  await row.waitFor();

  // A role that was removed comes back with what it may, and a changed device is as before.
  await page.goto(`${base}/access?tab=roles`);
  const role = page.getByRole("row").filter({ hasText: "reader" });
  await role.getByRole("button", { name: "Remove" }).click();
  await role.waitFor({ state: "detached" });
  await page.getByRole("button", { name: "Undo" }).last().click();
  await role.waitFor();
  await page.goto(`${base}/devices/learner`);
  await page.getByRole("button", { name: "Change" }).click();
  await page.getByRole("dialog").getByLabel("Note").fill("a wrong note");
  await page.getByRole("dialog").getByRole("button", { name: "Save" }).click();
  await page.getByText("a wrong note").waitFor();
  await page.getByRole("button", { name: "Undo" }).last().click();
  await page.getByText("a wrong note").waitFor({ state: "detached" });

  // A device that learns from its first connection on, whichever way it proves itself.
  for (const [name, way] of [
    ["newcomer-1", "Certificate, the device makes the key"],
    ["newcomer-2", "Password over TLS"],
  ]) {
    await page.goto(`${base}/add-device`);
    await page.getByLabel("Name").fill(name);
    await page.getByText("Learn first").click();
    await page.getByText(way).click();
    if (name === "newcomer-1") await shot(page, "add-learning");
    await page.getByRole("button", { name: "Add the device" }).click();
    await page.getByRole("heading", { name: `${name}: connect it now` }).waitFor();
    await page.goto(`${base}/access?tab=learn`);
    await page.getByRole("row").filter({ hasText: name }).waitFor();
  }
});
