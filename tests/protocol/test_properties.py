# SPDX-License-Identifier: Apache-2.0
"""Properties of MQTT 5.0: which packet may carry which, how often, with which values."""

import pytest

import mqtt
from mqtt import (AUTH, CONNACK, CONNECT, DISCONNECT, PROPERTIES, PUBACK, PUBCOMP, PUBLISH, PUBREC, PUBREL, REPEATED,
                  SUBSCRIBE, UNSUBSCRIBE, V5, WILL, one_property, varint)
from told import name

states = pytest.mark.states

GOOD = {"byte": 1, "u16": 1, "u32": 1, "varint": 1, "text": "x", "binary": b"x", "pair": ("a", "b")}
GOOD_ONE = {"maximum_packet_size": 1000}


def good(prop):
    return one_property(prop, GOOD_ONE.get(prop, GOOD[PROPERTIES[prop][1]]))


def carrier(kind, props):
    """A packet of a connected client with this properties field, or a CONNECT."""
    if kind == CONNECT:
        return mqtt.connect(name(), V5, props=props)
    if kind == WILL:
        return mqtt.connect(name(), V5, will=("w", "x", 0, False), will_props=props)
    if kind == PUBLISH:
        return mqtt.publish("a", "x", 1, 1, V5, props=props)
    if kind == SUBSCRIBE:
        return mqtt.subscribe(1, [("a", 0)], V5, props)
    if kind == UNSUBSCRIBE:
        return mqtt.unsubscribe(1, ["a"], V5, props)
    if kind == DISCONNECT:
        return mqtt.disconnect(0, props)
    if kind == AUTH:
        return mqtt.auth(0x18, props)
    return mqtt.ack(kind, 1, 0, props)


CLIENT_PACKETS = [CONNECT, WILL, PUBLISH, PUBACK, PUBREC, PUBREL, PUBCOMP, SUBSCRIBE, UNSUBSCRIBE, DISCONNECT]


def exchange(dial, kind, props):
    """Sends the packet and PINGREQ; whether the connection lived on, and what came."""
    c = dial(V5)
    if kind in (CONNECT, WILL):
        c.send(carrier(kind, props), mqtt.pingreq())
    else:
        c.connect(name(), props={"session_expiry": 60})
        c.send(carrier(kind, props), mqtt.pingreq())
    packets = []
    while (p := c._packet(mqtt.time.monotonic() + mqtt.PATIENCE)) is not None:
        packets.append(p)
        if p.kind == mqtt.PINGRESP:
            return True, packets
    return False, packets


def refused(dial, kind, props, reasons=(0x81, 0x82)):
    alive, packets = exchange(dial, kind, props)
    assert not alive, packets
    assert all(p.reason in reasons for p in packets if p.kind in (CONNACK, DISCONNECT)), packets
    if kind not in (CONNECT, WILL):
        assert packets and packets[-1].kind == DISCONNECT
    assert not any(p.kind == CONNACK and p.reason == 0 for p in packets)


ALLOWED = [(kind, prop) for kind in CLIENT_PACKETS for prop in PROPERTIES if kind in PROPERTIES[prop][2]
           and (kind, prop) not in ((PUBLISH, "subscription_id"), (CONNECT, "auth_method"), (CONNECT, "auth_data"),
                                    (PUBLISH, "topic_alias"), (DISCONNECT, "server_reference"))]
FORBIDDEN = [(kind, prop) for kind in CLIENT_PACKETS for prop in PROPERTIES if kind not in PROPERTIES[prop][2]]


def ids(rows):
    return [f"{mqtt.NAMES[kind]}-{prop}" for kind, prop in rows]


@pytest.mark.parametrize("kind, prop", ALLOWED, ids=ids(ALLOWED))
def test_allowed(dial, kind, prop):
    alive, packets = exchange(dial, kind, good(prop))
    assert alive if kind != DISCONNECT else packets == [], packets


@states("v5 4.13.1-1")
@pytest.mark.parametrize("kind, prop", FORBIDDEN, ids=ids(FORBIDDEN))
def test_not_allowed_here(dial, kind, prop):
    refused(dial, kind, good(prop))


TWICE = [(kind, prop) for kind, prop in ALLOWED if prop not in REPEATED] + [(SUBSCRIBE, "subscription_id")]


@pytest.mark.parametrize("kind, prop", TWICE, ids=ids(TWICE))
def test_not_allowed_twice(dial, kind, prop):
    refused(dial, kind, good(prop) * 2)


@pytest.mark.parametrize("kind", CLIENT_PACKETS, ids=lambda k: mqtt.NAMES[k])
def test_user_properties_may_repeat(dial, kind):
    alive, packets = exchange(dial, kind, good("user_property") * 50)
    assert alive if kind != DISCONNECT else packets == [], packets


VALUES = [
    (CONNECT, "request_problem", 2), (CONNECT, "request_response", 2), (CONNECT, "receive_maximum", 0),
    (CONNECT, "maximum_packet_size", 0), (PUBLISH, "payload_format", 2), (PUBLISH, "payload_format", 255),
    (WILL, "payload_format", 2), (SUBSCRIBE, "subscription_id", 0), (WILL, "response_topic", "a/#"),
    (PUBLISH, "response_topic", "a/+"), (PUBLISH, "response_topic", b"\xff"), (PUBLISH, "content_type", b"\xc0\x80"),
    (PUBLISH, "user_property", (b"\xff", "x")), (PUBLISH, "user_property", ("x", b"\xed\xa0\x80")),
    (PUBLISH, "user_property", ("x\0", "y")), (WILL, "content_type", b"a\0"),
    (CONNECT, "user_property", ("a", b"\xff")),
]


@states("v5 1.5.7-1", "v5 1.5.4-1", "v5 1.5.4-2", "v5 3.3.2-13", "v5 3.3.2-14", "v5 3.3.2-19")
@pytest.mark.parametrize("kind, prop, value", VALUES, ids=[f"{mqtt.NAMES[k]}-{p}-{v!r}" for k, p, v in VALUES])
def test_values(dial, kind, prop, value):
    refused(dial, kind, one_property(prop, value), (0x81, 0x82, 0x90))


BROKEN = {
    "unknown identifier": b"\x7e\0",
    "identifier 0": b"\0",
    "identifier of two bytes": b"\x80\x01\0",
    "identifier not minimal": b"\xa6\x00" + one_property("user_property", ("a", "b"))[1:],
    "cut number": b"\x11\0\0\0",
    "cut text": b"\x1f\0\5abc",
    "cut pair": b"\x26\0\1a\0",
}


@pytest.mark.parametrize("kind", CLIENT_PACKETS, ids=lambda k: mqtt.NAMES[k])
@pytest.mark.parametrize("case", BROKEN)
def test_broken_field(dial, kind, case):
    refused(dial, kind, BROKEN[case])


@states("v5 2.2.2-1", "v5 1.5.5-1")
@pytest.mark.parametrize("length", [b"", b"\x05", b"\x80\x00", b"\xff\xff\xff\xff\x01", b"\x80"],
                         ids=lambda x: x.hex() or "none")
def test_length_of_the_field(join, length):
    """In a PUBLISH of QoS 0 to "a" without payload."""
    c = join(V5)
    c.send(mqtt.packet(PUBLISH, 0, mqtt.binary("a") + length))
    answer = c.expect_closed()
    assert [p.kind for p in answer] == [DISCONNECT] and answer[0].reason in (0x81, 0x82)


def test_subscription_identifier_of_full_width(join, topic):
    c = join(V5)
    for number in (1, 127, 128, 16383, 16384, 2097151, 2097152, 268435455):
        c.subscribe(topic, props={"subscription_id": number})
        c.publish(topic, "x")
        assert c.message().props["subscription_id"] == [number]


def test_authentication_data_without_method(dial):
    refused(dial, CONNECT, one_property("auth_data", b"x"))


@states("v5 3.1.2-29")
@pytest.mark.parametrize("wanted", [0, 1])
def test_problem_information(dial, wanted):
    c = dial(V5)
    c.connect(name(), props={"request_problem": wanted})
    c.send(mqtt.subscribe(1, [("a", 0), ("$share/g/a", 0)], V5), mqtt.unsubscribe(2, ["none"], V5),
           mqtt.publish("a", "x", 1, 3, V5), mqtt.ack(PUBREL, 77), mqtt.pingreq())
    while (p := c.receive()).kind != mqtt.PINGRESP:
        if not wanted and p.kind != PUBLISH:
            assert not p.props


@pytest.mark.parametrize("size", [20, 50, 100, 1000])
@states("v5 3.1.2-24", "v5 3.1.2-25", "v5 3.14.2-3", "v5 3.14.2-4", "v5 3.4.2-2", "v5 3.4.2-3", "v5 3.9.2-1",
        "v5 3.9.2-2", "v5 3.11.2-1", "v5 3.11.2-2", "v5 3.2.2-19", "v5 3.2.2-20")
def test_maximum_packet_size_of_the_client(dial, join, topic, size):
    """No packet is larger; a message that is too large is taken as delivered."""
    c = dial(V5)
    c.connect(name(), props={"maximum_packet_size": size, "receive_maximum": 1})
    assert c.connack.size <= size
    c.subscribe(topic, qos=1)
    p = join(V5)
    fixed = len(mqtt.publish(topic, b"", 1, 1, V5))
    for length in (size - fixed, size - fixed + 1, 2 * size, 0):
        p.publish(topic, "x" * max(length - (1 if length > 127 else 0), 0), 1)
    got = c.messages(2)
    assert [m.size <= size for m in got] == [True, True]
    assert len(got[1].payload) == 0
    c.ping()
    c.send(mqtt.publish("a/#", "x", version=V5))
    assert all(m.size <= size for m in c.expect_closed())


def test_varint():
    """Of this suite itself."""
    assert varint(0) == b"\0" and varint(127) == b"\x7f" and varint(128) == b"\x80\x01"
    assert varint(268435455) == b"\xff\xff\xff\x7f"
