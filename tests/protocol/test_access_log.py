# SPDX-License-Identifier: Apache-2.0
"""The end of every connection is told once: as an event, and as a line of the log."""

import re
import shlex

import pytest

import mqtt
from gateway import wait_until
from mqtt import V5, Client
from told import OPEN, name

SETTINGS = ["log.level=notice", "broker.connect-timeout=2s"]
LISTENERS = [OPEN, "secure auth=certificate", "behind tls=off auth=anonymous proxy-protocol=any proxy-from=127.0.0.0/8"]


def lines(gateway, kind, who):
    """Those of this client identifier or address, as dictionaries."""
    found = []
    for line in gateway.log_text().splitlines():
        said = re.search(rf" notice +store: {re.escape(kind)} (.*)", line)
        pairs = dict(x.split("=", 1) for x in shlex.split(said.group(1))) if said else {}
        if who in (pairs.get("client-id"), pairs.get("address")):
            found.append(pairs)
    return found


def line(gateway, kind, who):
    found = wait_until(lambda: lines(gateway, kind, who), what=f"a line {kind} of {who}")
    assert len(found) == 1, found
    return found[0]


def test_a_device_over_tls(gateway, topic):
    bundle = gateway.bundle("pump-1")
    who = name()
    c = Client.tls(gateway.listeners["secure"], V5, bundle=bundle)
    c.connect(who)
    c.subscribe(topic)
    c.send(*[mqtt.publish(topic, "x" * 100, version=V5)] * 3)
    c.messages(3)
    c.disconnect()
    said = line(gateway, "client.disconnected", who)
    assert said["device"] == "pump-1" and said["listener"] == "secure"
    assert said["address"].startswith("127.0.0.1:")
    assert said["protocol"] == "MQTT 5.0" and said["transport"] == "tls"
    assert said["tls"].startswith("TLS1.") and "GCM" in said["cipher"] and said["resumed"] == "0"
    assert said["reason"] == "the client disconnected" and "reason_code" not in said
    assert said["messages_received"] == said["messages_sent"] == "3"
    assert int(said["bytes_received"]) > 300 and int(said["bytes_sent"]) > 300 and int(said["duration_ms"]) >= 0
    assert "proxy" not in said


def test_behind_a_proxy(gateway, dial, events):
    who = name()
    c = dial(V5, "behind")
    c.send(b"PROXY TCP4 10.9.9.9 10.0.0.1 4711 1883\r\n")
    c.connect(who)
    c.disconnect()
    said = line(gateway, "client.disconnected", who)
    assert said["address"] == "10.9.9.9:4711" and said["proxy"] == "127.0.0.1"
    assert said["transport"] == "tcp" and "tls" not in said


def test_thrown_out(gateway, dial):
    who = name()
    c = dial(V5)
    c.connect(who)
    c.send(mqtt.packet(mqtt.PUBACK, 0, b"\0"))
    c.expect_closed()
    said = line(gateway, "client.disconnected", who)
    assert said["reason_code"] == "Malformed Packet"


def test_refused(gateway, dial, events):
    """One that was refused says so in the event of its refusal; there is no second one."""
    def refused():
        c = dial(V5)
        c.send(mqtt.connect(name(), 5, props={"auth_method": "NONE"}))
        c.expect_closed()

    told = events.expect(refused, "login.refused")
    assert told["protocol"] == "MQTT 5.0" and told["transport"] == "tcp" and told["bytes_received"] > 10
    assert told["duration_ms"] >= 0 and "messages_received" not in told
    assert not lines(gateway, "connection.closed", told["address"])


@pytest.mark.parametrize("sent", [b"", b"\x10\x20\0\4MQTT"])
def test_gone_before_connect(gateway, dial, sent):
    c = dial(V5)
    port = c.wire.socket.getsockname()[1]
    c.send(sent)
    c.close()
    said = line(gateway, "connection.closed", f"127.0.0.1:{port}")
    assert said["bytes_received"] == str(len(sent)) and said["bytes_sent"] == "0" and said["listener"] == "open"


def test_switched_off(gateway, dial):
    gateway.cli("config", "set", "log.access", "off")
    try:
        who = name()
        c = dial(V5)
        c.connect(who)
        c.disconnect()
        wait_until(lambda: [e for e in gateway.json("event", "list", "--name", "client.disconnected")
                            if e.get("client_id") == who], what="the event")
        assert not lines(gateway, "client.disconnected", who)
    finally:
        gateway.cli("config", "set", "log.access", "on")
