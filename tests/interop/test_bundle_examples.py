# SPDX-License-Identifier: Apache-2.0
"""The examples of a bundle for programs of npm, as they are: MQTT.js, and a flow in Node-RED without its editor."""
import os
import socket
import subprocess
import urllib.request

import pytest

import mqtt
import npm
from gateway import wait_until

TOPIC = "test/snippet-1"
SETTINGS = """module.exports = {
    uiHost: "127.0.0.1", uiPort: %d, flowFile: "flows.json", disableEditor: true, credentialSecret: false,
    externalModules: {autoInstall: false}, telemetry: {enabled: false},
    logging: {console: {level: "info", metrics: false, audit: false}},
};
"""


@pytest.fixture(scope="module")
def bundle(gateway):
    folder = gateway.bundle("snippet-1")
    gateway.cli("acl", "allow", "device:snippet-1", "all", TOPIC)
    return folder


@pytest.fixture(scope="module")
def peer(gateway):
    """Another device that hears what the example publishes, and answers."""
    folder = gateway.bundle("peer")
    gateway.cli("acl", "allow", "device:peer", "all", TOPIC)
    with mqtt.Client.tls(gateway.listeners["mtls"], bundle=folder) as client:
        client.connect("peer")
        client.subscribe(TOPIC, qos=1)
        yield client


def test_mqttjs(bundle, peer):
    modules = npm.install("mqttjs") / "node_modules"
    done = subprocess.run(["node", bundle / "examples/mqttjs.js", TOPIC, "from mqttjs"], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=60, env={**os.environ, "NODE_PATH": str(modules)})
    assert (done.stdout, done.stderr, done.returncode) == (f"{TOPIC} from mqttjs\n", "", 0)
    assert peer.message().payload == b"from mqttjs"


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


@pytest.fixture
def node_red(bundle, tmp_path):
    """Node-RED with the flow of the bundle: its port, and what it has said."""
    modules = npm.install("node-red") / "node_modules"
    port, log = free_port(), tmp_path / "log"
    (tmp_path / "settings.js").write_text(SETTINGS % port)
    (tmp_path / "flows.json").write_text((bundle / "examples/node-red.json").read_text())
    with log.open("w") as out:
        words = ["node", modules / "node-red/red.js", "-u", tmp_path, "-s", tmp_path / "settings.js"]
        process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT)
    try:
        yield port, log.read_text
    finally:
        process.terminate()
        process.wait()


def test_a_flow_of_node_red(gateway, peer, node_red):
    port, said = node_red
    wait_until(lambda: [c for c in gateway.json("client", "list", "--device", "snippet-1") if c["subscriptions"]],
               seconds=60, what="the flow")
    urllib.request.urlopen(urllib.request.Request(f"http://127.0.0.1:{port}/inject/gatehouse-hello", method="POST"))
    assert peer.message().payload == b"hello"
    peer.publish(TOPIC, b'{"from": "peer"}')
    wait_until(lambda: "hello" in said() and "from: 'peer'" in said(), what="what the flow received")
    (client,) = gateway.json("client", "list", "--device", "snippet-1")
    assert client["protocol"] == "MQTT 5.0" and client["tls"]
