// SPDX-License-Identifier: Apache-2.0
// A device in each of the ways: what the page gives is used as it is by a real client, the page sees it come,
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

async function add(page, name, way, more = async () => undefined) {
  await page.goto(`${base}/add-device`);
  await page.getByLabel("Name").fill(name);
  await page.getByText(way).click();
  await more();
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
function publish(command, cwd, seconds = 9) {
  const child = spawn("bash", ["-c", `for i in $(seq ${seconds}); do echo $i; sleep 1; done | ${command}`], { cwd, stdio: "ignore" });
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
  const [pub] = (await textOf(page, "mosquitto_pub, mosquitto_sub")).split("\n");
  sh(`${pub.replace("devices/tank-1/state", "plant/forbidden")} || true`, dir);
  const running = publish(pub.replace("-m hello", "-l"), dir);
  await page.getByText("Denied:").waitFor();
  await seen(page);
  await shot(page, "denied");
  await page.getByText("has its certificate").waitFor();
  await page.getByRole("button", { name: "Allow this" }).click();
  await page.getByText("Allowed now:").waitFor();
  await running;
  sh(pub.replace("devices/tank-1/state", "plant/forbidden"), dir);

  // The same denial stands in the device's own history, with why, and with all below the topic for its role.
  sh(`${pub.replace("devices/tank-1/state", "shop/floor/2")} || true`, dir);
  await page.goto(`${base}/devices/tank-1`);
  const line = page.getByRole("listitem").filter({ hasText: "may not publish to shop/floor/2" });
  await line.getByRole("link", { name: "Why?" }).click();
  await page.getByText("No rule allows it").waitFor();
  await page.goBack();
  await line.getByRole("button", { name: "Allow…" }).click();
  await page.getByLabel("Everything below shop/floor/").check();
  await page.getByLabel("All devices with the role own-topics").check();
  await shot(page, "allow");
  await page.getByRole("button", { name: "Allow it" }).click();
  await page.getByText("role:own-topics may publish shop/floor/#").waitFor();
  sh(pub.replace("devices/tank-1/state", "shop/floor/3"), dir);
  await page.getByRole("button", { name: "Undo" }).click();
  await page.getByText("It is no longer allowed.").waitFor();

  // This browser makes the key.
  await add(page, "tank-2", "Certificate, this browser makes the key");
  const files = folder("tank-2");
  for (const name of ["device.key", "device.crt", "ca.crt"]) {
    const waits = page.waitForEvent("download");
    await page.getByRole("button", { name: `Save ${name}` }).click();
    await (await waits).saveAs(`${files}/${name}`);
  }
  const [pub2] = (await textOf(page, "mosquitto_pub, mosquitto_sub")).split("\n");
  const second = publish(pub2.replace("-m hello", "-l"), files);
  await seen(page);
  await second;

  // The gateway makes the bundle: a ZIP with the files and a script that connects.
  await add(page, "tank-4", "Certificate, the gateway makes the bundle");
  const save = async (name) => {
    const waits = page.waitForEvent("download");
    await page.getByRole("button", { name: `Save ${name}` }).click();
    await (await waits).saveAs(`${folder(name)}/${name}`);
    return folder(name);
  };
  const zip = await save("tank-4.zip");
  sh(await textOf(page, "A first try, with Debian's mosquitto-clients"), zip);
  const fourth = publish("while read n; do tank-4/connect.sh pub devices/tank-4/state $n; done", zip);
  await seen(page);
  await fourth;
  await page.getByText("Python (paho-mqtt)").click();
  const paho = (await textOf(page, "Python (paho-mqtt)")).replaceAll("$", "\\$");
  sh(`/usr/bin/python3 - <<'EOF'\n${paho}\nEOF`, `${zip}/tank-4`);

  // And a PKCS#12 of an RSA key, under a passphrase that the page made, as old devices want it.
  await add(page, "tank-5", "Certificate, the gateway makes the bundle", async () => {
    await page.getByLabel("As", { exact: true }).selectOption("p12-legacy");
    await page.getByLabel("Key", { exact: true }).selectOption("RSA");
    await page.getByLabel("Passphrase").fill("short");
    await page.getByRole("button", { name: "Add the device" }).click();
    await page.getByText("passphrase must be 8 to 511 bytes").waitFor();
    await page.getByRole("button", { name: "Make another one" }).click();
  });
  const p12 = await save("tank-5.p12");
  const passphrase = await textOf(page, "Passphrase");
  check("a passphrase that nobody guesses", /^\w{20}$/.test(passphrase));
  const openssl = (await textOf(page, "As PEM files, with openssl")).replaceAll("-noenc", `-noenc -passin pass:${passphrase}`);
  sh(openssl, p12);
  check("RSA", sh("openssl pkey -in device.key -noout -text", p12).includes("2048 bit"));
  const [pub5] = (await textOf(page, "mosquitto_pub, mosquitto_sub")).split("\n");
  const fifth = publish(pub5.replace("-m hello", "-l"), p12);
  await seen(page);
  await fifth;

  // A password.
  await add(page, "tank-3", "Password over TLS");
  const roots = page.waitForEvent("download");
  await page.getByRole("button", { name: "ca.crt" }).click();
  await (await roots).saveAs(`${folder("tank-3")}/ca.crt`);
  const command = await textOf(page, "mosquitto_pub");
  const third = publish(command.replace("-m hello", "-l"), `${args.dir}/tank-3`);
  await seen(page);
  await third;

  // A password without encryption, where a listener takes that: an installed gateway has none.
  const unsealed = page.getByText("Password, without encryption");
  await page.goto(`${base}/add-device`);
  await page.getByText("Password over TLS").waitFor();
  if (args.host) {
    check("it is not offered", (await unsealed.count()) === 0);
  } else {
    await add(page, "old-1", "Password, without encryption");
    const open = (await textOf(page, "mosquitto_pub")).replace("-m hello", "-l");
    check("no root certificate is wanted", !open.includes("cafile"));
    const running = publish(open, folder("old-1"));
    await seen(page);
    await running;
  }

  // Its life, and its end: the certificate is revoked while the device is connected.
  const holds = publish(pub.replace("-m hello", "-l"), dir, 90);
  await page.goto(`${base}/devices`);
  await page.getByRole("link", { name: "tank-1" }).click();
  await page.getByRole("cell", { name: "tank-1" }).first().waitFor();
  await shot(page, "device");
  await page.getByRole("button", { name: "Details" }).click();
  const details = page.getByRole("dialog");
  await details.getByText("It has asked for no messages.").waitFor();
  await details.getByText(/TLS1\.[23]/).waitFor();
  await details.getByRole("button", { name: "Show its packets" }).click();
  await details.getByRole("listitem").filter({ hasText: "PUBLISH" }).first().waitFor();
  await details.getByText("devices/tank-1/state").first().waitFor();
  await shot(page, "connection");
  await details.getByRole("button", { name: "Stop" }).click();
  await details.getByRole("button", { name: "Close" }).click();
  await details.waitFor({ state: "detached" });
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
