// SPDX-License-Identifier: Apache-2.0
// A device by each of the three ways: what the page gives is used as it is by a real client, the page sees it come,
// explains a denial, allows it, and takes the device away.
import { execFileSync, spawn } from "node:child_process";
import { mkdirSync } from "node:fs";
import { args, base, check, login, shot, walk } from "./lib.mjs";

function folder(name) {
  const dir = `${args.dir}/${name}`;
  mkdirSync(dir, { recursive: true });
  return dir;
}

const sh = (command, cwd) => execFileSync("bash", ["-c", command], { cwd, encoding: "utf8", timeout: 60000 });

async function add(page, name, way) {
  await page.goto(`${base}/add-device`);
  await page.getByLabel("Name").fill(name);
  await page.getByText(way).click();
  await page.getByRole("button", { name: "Add the device" }).click();
  await page.getByRole("heading", { name: `${name}: connect it now` }).waitFor();
  await shot(page, `add-${name}`);
}

const textOf = (page, label) => page.getByLabel(label, { exact: true }).innerText();

async function seen(page) {
  await page.getByText("✔ seen").waitFor();
  await page.getByText("✔ published").waitFor();
  await page.getByText("Last message:").waitFor();
}

/** Publishes slowly, so that the page can see it. */
function publish(command, cwd) {
  const child = spawn("bash", ["-c", `for i in 1 2 3 4 5 6 7 8 9; do echo $i; sleep 1; done | ${command}`], { cwd, stdio: "ignore" });
  return new Promise((done) => child.on("exit", done));
}

await walk({ expected: [400] }, async (page) => {
  await login(page);
  await page.goto(`${base}/add-device`);
  await page.getByLabel("Name").fill("not a name");
  await page.getByRole("button", { name: "Add the device" }).click();
  await page.locator("[aria-invalid=true]").waitFor();

  // The device makes the key.
  await add(page, "tank-1", "Certificate, the device makes the key");
  const dir = folder("tank-1");
  sh(await textOf(page, "On the device, with curl and openssl"), dir);
  await page.getByText("mosquitto_pub, mosquitto_sub").click();
  const [pub] = (await textOf(page, "mosquitto_pub, mosquitto_sub")).split("\n");
  sh(`${pub.replace("devices/tank-1/state", "plant/forbidden")} || true`, dir);
  const running = publish(pub.replace("-m hello", "-l"), dir);
  await page.getByText("Denied:").waitFor();
  await seen(page);
  await shot(page, "denied");
  await page.getByRole("button", { name: "Allow this" }).click();
  await page.getByText("Allowed now:").waitFor();
  await running;
  sh(pub.replace("devices/tank-1/state", "plant/forbidden"), dir);

  // This browser makes the key.
  await add(page, "tank-2", "Certificate, this browser makes the key");
  const files = folder("tank-2");
  for (const name of ["device.key", "device.crt", "ca.crt"]) {
    const waits = page.waitForEvent("download");
    await page.getByRole("button", { name: `Save ${name}` }).click();
    await (await waits).saveAs(`${files}/${name}`);
  }
  await page.getByText("mosquitto_pub, mosquitto_sub").click();
  const [pub2] = (await textOf(page, "mosquitto_pub, mosquitto_sub")).split("\n");
  const second = publish(pub2.replace("-m hello", "-l"), files);
  await seen(page);
  await second;

  // A password.
  await add(page, "tank-3", "Password over TLS");
  const roots = page.waitForEvent("download");
  await page.getByRole("button", { name: "ca.crt" }).click();
  await (await roots).saveAs(`${folder("tank-3")}/ca.crt`);
  const command = await textOf(page, "mosquitto_pub");
  const third = publish(command.replace("-m hello", "-l"), `${args.dir}/tank-3`);
  await seen(page);
  await third;

  // Its life, and its end: the certificate is revoked while the device is connected.
  const holds = publish(pub.replace("-m hello", "-l"), dir);
  await page.goto(`${base}/devices`);
  await page.getByRole("link", { name: "tank-1" }).click();
  await page.getByRole("cell", { name: "tank-1" }).first().waitFor();
  await shot(page, "device");
  await page.getByRole("button", { name: "Revoke" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Revoke" }).click();
  await page.getByText("The certificate is revoked").waitFor();
  check("the client was told", (await holds) !== undefined);
  await page.getByText("It is not connected.").waitFor();
  let refused = false;
  try {
    sh(pub, dir);
  } catch {
    refused = true;
  }
  check("it cannot come back", refused);
  await page.getByRole("button", { name: "Remove" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Remove" }).click();
  await page.getByRole("heading", { name: "Devices" }).waitFor();
  await page.getByText("tank-1 is removed.").waitFor();
});
