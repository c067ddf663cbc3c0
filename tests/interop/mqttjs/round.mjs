// SPDX-License-Identifier: Apache-2.0
//
// A device or a page that uses MQTT.js, as its owner would write it: connects, subscribes, publishes to itself at
// one QoS with many on the way, waits for every message, ends. The interop suite runs it.
//
//   node round.mjs URL VERSION QOS COUNT CLIENT-ID TOPIC [CA [CERTIFICATE KEY]]
//
// VERSION is 4 (3.1.1) or 5. The login comes from MQTT_USER and MQTT_PASSWORD when they are set. Exit code 0 when
// each message came once, in order, unchanged; else 1 and a line that says why.

import { readFileSync } from "node:fs";
import mqtt from "mqtt";

const [url, version, qos, count, clientId, topic, ca, cert, key] = process.argv.slice(2);
const read = (file) => (file ? readFileSync(file) : undefined);

function fail(why) {
	console.log(String(why?.message ?? why));
	process.exit(1);
}

const client = mqtt.connect(url, {
	clientId,
	protocolVersion: Number(version),
	clean: true,
	reconnectPeriod: 0,
	username: process.env.MQTT_USER,
	password: process.env.MQTT_PASSWORD,
	ca: read(ca),
	cert: read(cert),
	key: read(key),
});
const wanted = Number(qos);
const text = (i) => (i % 100 === 99 ? `message ${i} ` + "x".repeat(20000) : `message ${i}`);
let came = 0;
let acknowledged = 0;

let most = 0;
let sent = 0;

function publishMore() {
	while (sent < Number(count) && sent - acknowledged < most)
		client.publish(topic, text(sent++), { qos: wanted }, (failed) => {
			if (failed)
				fail(failed);
			acknowledged++;
			publishMore();
			finish();
		});
}

function finish() {
	if (came < Number(count) || acknowledged < Number(count))
		return;
	client.removeListener("close", early);
	client.end(false, {}, () => process.exit(0));
}

function early() {
	fail(`the connection ended after ${came} messages`);
}

client.on("error", fail);
client.on("close", early);
client.on("message", (got, payload, packet) => {
	if (got !== topic || packet.qos !== wanted || packet.dup || payload.toString() !== text(came))
		fail(`instead of "${text(came)}" came "${payload}" on ${got} with QoS ${packet.qos}`);
	came++;
	finish();
});
client.on("connect", (answer) => {
	if (answer.sessionPresent)
		fail("a session is present");
	client.subscribe(topic, { qos: wanted }, (error, granted) => {
		if (error || granted[0].qos !== wanted)
			fail(error ?? `QoS ${granted[0].qos} was granted`);
		// MQTT.js leaves the Receive Maximum of MQTT 5 to its caller; MQTT 3.1.1 has none.
		most = answer.properties?.receiveMaximum ?? Infinity;
		publishMore();
	});
});
setTimeout(() => fail(`${came} messages came, ${acknowledged} were acknowledged`), 20000);
