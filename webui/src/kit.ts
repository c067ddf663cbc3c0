// SPDX-License-Identifier: Apache-2.0
// How a device gets on: the commands and files that the page for adding one shows.
import type { ListenerState } from "./types";

export interface Place {
  host: string;
  mqtts: string;
  /** Without encryption; "": nowhere. */
  mqtt: string;
  enrol: string;
}

const portOf = (l: ListenerState | undefined) => l?.address.split(":").pop() ?? "";

const isLocal = (address: string) => /^(127\.|localhost|\[::1\])/.test(address);

/** Where a device finds the gateway: under the name by which this browser did. */
export function placeOf(listeners: ListenerState[], host: string): Place {
  // "mqtts", or "mqtts+wss" where both are spoken
  const mqtts = listeners.find((l) => l.protocol.split("+").includes("mqtts"));
  const mqtt = listeners.find(
    (l) => l.protocol.split("+").includes("mqtt") && (isLocal(host) || !isLocal(l.address)),
  );
  return {
    host,
    mqtts: portOf(mqtts),
    mqtt: portOf(mqtt),
    enrol: portOf(listeners.find((l) => l.name === "enrol")),
  };
}

/** "ab12…" as openssl prints fingerprints: "AB:12:…". */
export function colons(hex: string): string {
  return (hex.toUpperCase().match(/../g) ?? []).join(":");
}

export function qrText(p: Place, code: string, root: string): string {
  return `gatehouse-enrol:https://${p.host}:${p.enrol}/#t=${code}&fp=sha256:${root}`;
}

const decode = "base64 -d device.p7 | openssl pkcs7 -inform DER -print_certs -out device.crt";

/** With curl and openssl: the root certificate by its fingerprint, a key, the certificate. */
export function enrolCommands(p: Place, name: string, code: string, root: string): string {
  const url = `https://${p.host}:${p.enrol}/.well-known/est`;
  const print = colons(root);
  return `curl -sSk ${url}/cacerts | base64 -d | openssl pkcs7 -inform DER -print_certs | openssl x509 -out ca.crt
openssl x509 -in ca.crt -noout -fingerprint -sha256 | grep -q '${print}' || { rm -f ca.crt; echo 'NOT the root certificate of the gateway' >&2; }
[ -e device.key ] || openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out device.key
openssl req -new -key device.key -subj '/CN=${name}' -outform DER -out device.csr
curl -sS --fail-with-body --cacert ca.crt -u '${name}:${code}' -H 'Content-Type: application/pkcs10' --data-binary @device.csr -o device.p7 ${url}/simpleenroll && ${decode} || { cat device.p7; false; }`;
}

/** Later: the roots of then, and a new certificate for the same key, which the old certificate asks for. */
export function renewCommands(p: Place): string {
  const url = `https://${p.host}:${p.enrol}/.well-known/est`;
  return `curl -sS --fail-with-body --cacert ca.crt -o roots.p7 ${url}/cacerts && base64 -d roots.p7 | openssl pkcs7 -inform DER -print_certs -out ca.new && mv ca.new ca.crt
curl -sS --fail-with-body --cacert ca.crt --cert device.crt --key device.key -H 'Content-Type: application/pkcs10' --data-binary @device.csr -o device.p7 ${url}/simplereenroll && ${decode} || { cat device.p7; false; }`;
}

const files = "--cafile ca.crt --cert device.crt --key device.key";

export interface Snippet {
  title: string;
  text: string;
  /** Not run against a gateway by its developers. */
  untried?: boolean;
}

/** The same connection for other programs. */
export function snippets(p: Place, name: string): Snippet[] {
  const port = p.mqtts;
  return [
    {
      title: "mosquitto_pub, mosquitto_sub",
      text: `mosquitto_pub -h ${p.host} -p ${port} -i ${name} ${files} -V 5 -q 1 -t devices/${name}/state -m hello
mosquitto_sub -h ${p.host} -p ${port} -i ${name} ${files} -V 5 -q 1 -v -t 'devices/${name}/#'`,
    },
    {
      title: "Python (paho-mqtt)",
      text: `import paho.mqtt.client as mqtt

client = mqtt.Client(client_id="${name}", protocol=mqtt.MQTTv5)
client.tls_set(ca_certs="ca.crt", certfile="device.crt", keyfile="device.key")
client.connect("${p.host}", ${port})
client.loop_start()
client.publish("devices/${name}/state", "hello", qos=1).wait_for_publish()`,
    },
    {
      title: "JavaScript (MQTT.js)",
      text: `const fs = require("fs");
const mqtt = require("mqtt");

const client = mqtt.connect("mqtts://${p.host}:${port}", {
  clientId: "${name}",
  protocolVersion: 5,
  ca: fs.readFileSync("ca.crt"),
  cert: fs.readFileSync("device.crt"),
  key: fs.readFileSync("device.key"),
});
client.on("connect", () => client.publish("devices/${name}/state", "hello", { qos: 1 }));`,
    },
    {
      title: "ESP-IDF",
      untried: true,
      text: `const esp_mqtt_client_config_t config = {
    .broker.address.uri = "mqtts://${p.host}:${port}",
    .broker.verification.certificate = ca_crt,      /* the text of ca.crt */
    .credentials.client_id = "${name}",
    .credentials.authentication.certificate = device_crt,
    .credentials.authentication.key = device_key,
};`,
    },
    {
      title: "Zigbee2MQTT",
      untried: true,
      text: `mqtt:
  server: mqtts://${p.host}:${port}
  client_id: ${name}
  ca: /app/data/ca.crt
  cert: /app/data/device.crt
  key: /app/data/device.key`,
    },
  ];
}

export interface Template {
  role: string;
  title: string;
  /** What it may do, as [actions, topic filter]. */
  rules: [string, string][];
}

const all = "all";

export const templates: Template[] = [
  { role: "own-topics", title: "Its own topics", rules: [[all, "devices/${device}/#"]] },
  {
    role: "tasmota",
    title: "Tasmota",
    rules: [
      [all, "cmnd/${device}/#"],
      [all, "stat/${device}/#"],
      [all, "tele/${device}/#"],
      ["publish", "tasmota/discovery/#"],
    ],
  },
  {
    role: "zigbee2mqtt",
    title: "Zigbee2MQTT",
    rules: [
      [all, "zigbee2mqtt/#"],
      [all, "homeassistant/#"],
    ],
  },
  {
    role: "esphome",
    title: "ESPHome",
    rules: [
      [all, "${device}/#"],
      ["publish", "esphome/discover/#"],
      [all, "homeassistant/#"],
    ],
  },
  { role: "home-assistant", title: "Home Assistant", rules: [[all, "#"]] },
  {
    role: "dashboard",
    title: "Read-only dashboard",
    rules: [
      ["subscribe", "#"],
      ["receive", "#"],
    ],
  },
];
