// SPDX-License-Identifier: Apache-2.0
// Two hundred devices from a table of which some lines are wrong: judged before anything is done, added, the secrets
// saved and used by a real client; then changed together, undone, and removed.
import { execFileSync, spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { args, base, check, login, shot, walk } from "./lib.mjs";

const nameOf = (i) => `bulk-${String(i).padStart(3, "0")}`;
const gatehouse = (...words) => execFileSync(args.gatehouse, ["--socket", args.socket, ...words], { encoding: "utf8" });

/** What it prints with --json: a line for each. */
const jsonOf = (...words) =>
  gatehouse(...words, "--json").split("\n").filter((line) => line !== "").map((line) => JSON.parse(line));

/** What a European spreadsheet writes: a byte order mark, semicolons, CR LF. */
const bad = { 10: ["bad name!", ""], 20: [nameOf(19), ""], 30: ["there-1", ""], 40: [nameOf(40), "no-such-role"] };
const lines = Array.from({ length: 200 }, (_, i) => {
  const [name, role] = bad[i] ?? [nameOf(i), i % 2 ? "reader" : ""];
  const proof = i === 1 ? "make;" : i === 2 ? ";no" : i === 3 ? "my own password;code" : ";";
  return `${name};pump;hall north;${role};"line ${i}; quoted";${proof}`;
});
const table = `\ufeffName;Kind;Groups;Roles;Note;Password;Certificate\r\n${lines.join("\r\n")}\r\n;;;;;;\r\n`;

/** The rows of a CSV of ours, whose every field is in quotes. */
const rowsOf = (file) =>
  readFileSync(file, "utf8")
    .trim()
    .split("\r\n")
    .slice(1)
    .map((line) => [...line.matchAll(/"((?:[^"]|"")*)"/g)].map((m) => m[1].replaceAll('""', '"')));

async function saved(page, button, file) {
  const waits = page.waitForEvent("download");
  await page.getByRole("button", { name: button }).click();
  await (await waits).saveAs(`${args.dir}/${file}`);
  return rowsOf(`${args.dir}/${file}`);
}

async function choose(page, ...names) {
  for (const name of names) await page.getByLabel(`Select ${name}`, { exact: true }).check();
}

await walk({ expected: [409] }, async (page) => {
  await login(page);
  await page.goto(`${base}/devices`);
  await page.getByRole("link", { name: "From a table" }).click();
  await page.getByRole("heading", { name: "Add devices from a table" }).waitFor();
  await page.getByText("Columns", { exact: true }).click();
  await shot(page, "import");

  // Wrong as a whole, and wrong line by line: nothing is done.
  const text = page.getByLabel("Or paste the table here");
  await text.fill("name,colour\nx,red\n");
  await page.getByText("There is no column “colour”").waitFor();
  await page.locator("input[type=file]").setInputFiles({ name: "devices.csv", mimeType: "text/csv", buffer: Buffer.from(table) });
  await page.getByText("196 of 200 lines can be added; 4 cannot.").waitFor();
  await page.getByLabel("Only the lines with something wrong").check();
  for (const what of [
    "name: “bad name!” is no name",
    `name: “${nameOf(19)}” is in line 21 already`,
    "name: there is a device there-1 already",
    "roles: there is no role “no-such-role”",
  ])
    await page.getByText(what).waitFor();
  check("only those", (await page.locator("tbody tr").count()) === 4);
  await shot(page, "import-preview");
  await page.setViewportSize({ width: 360, height: 740 });
  check("nothing is wider than a phone", await page.evaluate(() => document.documentElement.scrollWidth <= 360));
  await shot(page, "import-preview-phone");
  await page.setViewportSize({ width: 1280, height: 800 });
  check("nothing was done", jsonOf("device", "list", "--match", "bulk-").length === 0);

  // One that was free a moment ago is not any more; the others go on.
  gatehouse("device", "add", nameOf(150));
  await page.getByRole("button", { name: "Add the 196 good ones" }).click();
  await page.getByText("195 devices are added.").waitFor();
  await page.getByText("1 line failed:").waitFor();
  await page.getByText(`there is a device "${nameOf(150)}" already`).waitFor();
  await shot(page, "import-result");
  gatehouse("device", "remove", nameOf(150));
  await page.getByRole("button", { name: "Try 1 again" }).click();
  await page.getByText("196 devices are added.").waitFor();
  const secrets = await saved(page, "Save the codes and passwords", "secrets.csv");
  const made = new Map(secrets.map(([name, code, , , password]) => [name, { code, password }]));
  check("a secret for each that gets one", secrets.length === 195 && !made.has(nameOf(2)));
  check("one of them a password", made.get(nameOf(1)).password.length === 20 && made.get(nameOf(1)).code === "");
  check("a password of the table is not repeated", made.get(nameOf(3)).password === "" && made.get(nameOf(3)).code !== "");
  const shown = jsonOf("device", "show", nameOf(7))[0];
  check(
    "as the table says",
    shown.kind === "pump" && shown.groups.join() === "hall,north" && shown.roles.join() === "reader" && shown.note === "line 7; quoted",
  );
  check("codes count", jsonOf("code", "list").filter((c) => c.name?.startsWith("bulk-")).length === 194);

  // Changed together, and undone.
  await page.getByRole("link", { name: "To the devices" }).click();
  await page.getByRole("searchbox").fill("bulk-00");
  await page.waitForFunction(() => document.querySelectorAll("tbody a").length === 10);
  await page.getByLabel("Select all that are shown").check();
  await page.getByText("10 selected").waitFor();
  await shot(page, "bulk-selected");
  // What a filter hides is not selected: nothing is done to it unseen.
  await page.getByRole("searchbox").fill(nameOf(4));
  await page.getByText("1 selected").waitFor();
  await page.getByRole("searchbox").fill("bulk-00");
  await page.getByText("10 selected").waitFor();
  await page.getByLabel(`Select ${nameOf(9)}`).uncheck();
  await page.getByRole("button", { name: "Disable" }).click();
  await page.getByText("9 disabled.").waitFor();
  await page.waitForFunction(() => [...document.querySelectorAll("tbody .badge")].filter((b) => b.textContent === "disabled").length === 9);
  await page.locator(".toast", { hasText: "9 disabled." }).getByRole("button", { name: "Undo" }).click();
  await page.getByText("9 changes undone.").waitFor();
  await page.waitForFunction(() => [...document.querySelectorAll("tbody .badge")].every((b) => b.textContent !== "disabled"));

  await page.getByRole("button", { name: "Groups and roles…" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("Get these roles").fill("nobody-knows");
  await dialog.getByRole("button", { name: "Change" }).click();
  await dialog.getByText("there is no role “nobody-knows”").waitFor();
  await dialog.getByLabel("Get these roles").fill("reader");
  await dialog.getByLabel("Join these groups").fill("roof");
  await dialog.getByLabel("Leave these groups").fill("hall");
  await dialog.getByRole("button", { name: "Change" }).click();
  await page.getByText("Groups and roles of 9 changed.").waitFor();
  const moved = jsonOf("device", "show", nameOf(4))[0];
  check("moved", moved.groups.join() === "north,roof" && moved.roles.join() === "reader");

  // A connection is closed, of a client that uses what the file has.
  let told = "";
  const connected = () =>
    new Promise((done, fail) => {
      client.stdout.on("data", (d) => String(d).includes("received CONNACK (0)") && done());
      setTimeout(() => fail(new Error(`mosquitto_sub does not connect: ${told}`)), 60000).unref();
    });
  const client = spawn("stdbuf", ["-oL", "mosquitto_sub", "-h", "localhost", "-p", String(args.mqtts), "--cafile", args.ca, "-u", nameOf(1), "-P", made.get(nameOf(1)).password, "-t", `devices/${nameOf(1)}/set`, "-d"]);
  for (const out of [client.stdout, client.stderr]) out.on("data", (d) => (told += String(d)));
  const ended = new Promise((done) => client.on("exit", done));
  try {
    await connected();
    await page.locator("tbody").getByText("connected", { exact: true }).waitFor();
    const again = connected();
    await page.getByRole("button", { name: "Close connections" }).click();
    await page.getByText("Connections of 9 closed.").waitFor();
    await again; // mosquitto_sub comes back by itself
  } finally {
    client.kill("SIGKILL"); // it does not heed SIGTERM while it waits to come back
    await ended;
  }

  await page.getByRole("button", { name: "Select none" }).click();
  await choose(page, nameOf(5), nameOf(6));
  await page.getByRole("button", { name: "Remove…" }).click();
  await shot(page, "bulk-remove");
  await dialog.getByRole("button", { name: "Remove" }).click();
  await page.getByText("2 removed.").waitFor();
  await page.waitForFunction(() => document.querySelectorAll("tbody a").length === 8);
  await page.locator(".toast", { hasText: "2 removed." }).getByRole("button", { name: "Undo" }).click();
  await page.waitForFunction(() => document.querySelectorAll("tbody a").length === 10);
  check("with its groups", jsonOf("device", "show", nameOf(5))[0].groups.join() === "north,roof");

  // The list as a file: the whole of what is searched, no formula in it, and good for another table.
  gatehouse("device", "set", nameOf(8), "--note", "=1+1");
  await page.getByRole("searchbox").fill("bulk-");
  await page.waitForFunction(() => document.querySelectorAll("tbody a").length === 50);
  const list = await saved(page, "Save as CSV", "devices.csv");
  check("all of them", list.length === 196 && list[0][0] === nameOf(0));
  check("no formula", list.some((r) => r[4] === "'=1+1") && !list.some((r) => r[4] === "=1+1"));
  await page.goto(`${base}/import-devices`);
  await page.locator("input[type=file]").setInputFiles(`${args.dir}/devices.csv`);
  await page.getByText("0 of 196 lines can be added").waitFor();
  await page.getByText("These columns cannot be set and are left out: enabled").waitFor();
  check("each is known", (await page.getByText("there is a device").count()) === 100);
});
