// SPDX-License-Identifier: Apache-2.0
import { expect, test } from "vitest";
import { colons, enrolCommands, placeOf, qrText, renewCommands } from "./kit";

const place = placeOf(
  [
    { name: "mqtts", address: "0.0.0.0:8883", protocol: "mqtts", connections: 0 },
    { name: "enrol", address: "[::]:8444", protocol: "https", connections: 0 },
  ],
  "gw.example",
);

test("ports come from the listeners, the host from the browser", () => {
  expect(place).toEqual({ host: "gw.example", mqtts: "8883", mqtt: "", enrol: "8444" });
});

test("a listener that speaks WebSocket as well is one for devices", () => {
  const listeners = [
    { name: "browsers", address: "0.0.0.0:8884", protocol: "wss", connections: 0 },
    { name: "mqtts", address: "[::]:8883", protocol: "mqtts+wss", connections: 0 },
  ];
  expect(placeOf(listeners, "gw.example").mqtts).toBe("8883");
});

test("where no encryption is asked for is said apart", () => {
  const plain = { name: "lan", address: "10.0.0.1:1883", protocol: "mqtt", connections: 0 };
  expect(placeOf([plain], "gw.example")).toEqual({ host: "gw.example", mqtts: "", mqtt: "1883", enrol: "" });
  const local = { ...plain, address: "127.0.0.1:1883" }; // which no device reaches
  expect(placeOf([local], "gw.example").mqtt).toBe("");
  expect(placeOf([local], "localhost").mqtt).toBe("1883");
});

test("the code stands in the fragment, which reaches no log", () => {
  expect(new URL(qrText(place, "ABCD", "ff00").replace("gatehouse-enrol:", "")).hash).toBe(
    "#t=ABCD&fp=sha256:ff00",
  );
});

test("fingerprints as openssl prints them", () => {
  expect(colons("ab12ff")).toBe("AB:12:FF");
  expect(enrolCommands(place, "pump-1", "CODE", "ab12")).toContain("grep -q 'AB:12'");
});

test("renewing asks with the certificate, for the request that enrolling made", () => {
  const made = enrolCommands(place, "pump-1", "CODE", "ab12");
  const renew = renewCommands(place);
  for (const file of ["ca.crt", "device.key", "device.csr", "device.crt"]) {
    expect(made).toContain(file);
    expect(renew).toContain(file);
  }
  expect(renew).toContain("https://gw.example:8444/.well-known/est/simplereenroll");
  expect(renew).not.toContain("CODE");
});
