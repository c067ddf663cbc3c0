# SPDX-License-Identifier: Apache-2.0
"""CONNECT and CONNACK: what is accepted, how everything else is refused, and what is promised."""

import pytest

import mqtt
from mqtt import CONNACK, DISCONNECT, V31, V311, V5, binary, packet
from told import name

states = pytest.mark.states


def body(version, protocol=b"\0\4MQTT", flags=0x02, keep_alive=b"\0\0", payload=b"\0\1x", level=None):
    """Of a CONNECT, in pieces that a test can spoil."""
    props = b"\0" if version == V5 else b""
    return protocol + bytes([version if level is None else level, flags]) + keep_alive + props + payload


def connect(version, **pieces):
    return packet(mqtt.CONNECT, 0, body(version, **pieces))


def will_payload(version, topic=b"\0\1w", message=b"\0\1m"):
    return b"\0\1x" + (b"\0" if version == V5 else b"") + topic + message


MALFORMED = {
    "empty": lambda v: packet(mqtt.CONNECT, 0, b""),
    "ends in the protocol name": lambda v: packet(mqtt.CONNECT, 0, b"\0\4MQ"),
    "ends before the level": lambda v: packet(mqtt.CONNECT, 0, b"\0\4MQTT"),
    "ends before the flags": lambda v: packet(mqtt.CONNECT, 0, body(v)[:7]),
    "ends in the keep alive": lambda v: packet(mqtt.CONNECT, 0, body(v)[:9]),
    "no client identifier": lambda v: connect(v, payload=b""),
    "half a length": lambda v: connect(v, payload=b"\0"),
    "client identifier cut": lambda v: connect(v, payload=b"\0\2x"),
    "bytes behind the payload": lambda v: connect(v, payload=b"\0\1xy"),
    "reserved connect flag": lambda v: connect(v, flags=0x03),
    "will QoS 3": lambda v: connect(v, flags=0x1E, payload=will_payload(v)),
    "will QoS without will": lambda v: connect(v, flags=0x0A),
    "will retain without will": lambda v: connect(v, flags=0x22),
    "will without topic": lambda v: connect(v, flags=0x06),
    "will without message": lambda v: connect(v, flags=0x06, payload=will_payload(v, message=b"")),
    "will that no flag announces": lambda v: connect(v, payload=will_payload(v)),
    "will topic with #": lambda v: connect(v, flags=0x06, payload=will_payload(v, binary("a/#"))),
    "will topic with +": lambda v: connect(v, flags=0x06, payload=will_payload(v, binary("+/a"))),
    "will topic empty": lambda v: connect(v, flags=0x06, payload=will_payload(v, binary(""))),
    "will topic with U+0000": lambda v: connect(v, flags=0x06, payload=will_payload(v, binary("a\0"))),
    "will topic no UTF-8": lambda v: connect(v, flags=0x06, payload=will_payload(v, binary(b"\xc3\x28"))),
    "user name that no flag announces": lambda v: connect(v, payload=b"\0\1x\0\1u"),
    "no user name": lambda v: connect(v, flags=0x82),
    "user name no UTF-8": lambda v: connect(v, flags=0x82, payload=b"\0\1x" + binary(b"\xff")),
    "user name with U+0000": lambda v: connect(v, flags=0x82, payload=b"\0\1x" + binary("u\0")),
    "no password": lambda v: connect(v, flags=0xC2, payload=b"\0\1x\0\1u"),
    "password cut": lambda v: connect(v, flags=0xC2, payload=b"\0\1x\0\1u\0\5p"),
    "password that no flag announces": lambda v: connect(v, flags=0x82, payload=b"\0\1x\0\1u\0\1p"),
    "client identifier no UTF-8": lambda v: connect(v, payload=binary(b"\xe2\x28\xa1")),
    "client identifier with a surrogate": lambda v: connect(v, payload=binary(b"\xed\xa0\x80")),
    "client identifier overlong": lambda v: connect(v, payload=binary(b"\xc0\xaf")),
    "client identifier with U+0000": lambda v: connect(v, payload=binary("a\0b")),
}
MALFORMED.update({f"fixed header flags {f:#x}": lambda v, f=f: packet(mqtt.CONNECT, f, body(v))
                  for f in (1, 2, 4, 8, 15)})


@states("v3 3.1.4-1", "v3 3.1.2-3", "v3 3.1.2-9", "v3 3.1.2-11", "v3 3.1.2-13", "v3 3.1.2-14", "v3 3.1.2-15",
        "v3 3.1.2-18", "v3 3.1.2-19", "v3 3.1.2-20", "v3 3.1.2-21", "v3 3.1.3-1", "v3 3.1.3-3", "v3 3.1.3-4",
        "v3 3.1.3-10", "v3 3.1.3-11", "v3 2.2.2-1", "v3 2.2.2-2", "v3 1.5.3-1", "v3 1.5.3-2",
        "v5 3.1.4-1", "v5 3.1.2-3", "v5 3.1.2-9", "v5 3.1.2-11", "v5 3.1.2-12", "v5 3.1.2-13", "v5 3.1.2-16",
        "v5 3.1.2-17", "v5 3.1.2-18", "v5 3.1.2-19", "v5 3.1.3-1", "v5 3.1.3-3", "v5 3.1.3-4", "v5 3.1.3-11",
        "v5 3.1.3-12", "v5 2.1.3-1", "v5 1.5.4-1", "v5 1.5.4-2", "v5 4.13.1-1")
@pytest.mark.parametrize("case", MALFORMED)
def test_malformed(dial, version, case):
    c = dial(version)
    c.send(MALFORMED[case](version))
    answer = c.expect_closed()
    if version == V311:
        assert answer == []  # without a CONNACK
    else:
        assert all(p.kind == CONNACK and p.reason in (0x81, 0x82, 0x90) for p in answer)


@states("v3 3.1.2-22")
def test_password_without_user_name(dial, version):
    c = dial(version)
    c.send(connect(version, flags=0x42, payload=b"\0\1x\0\1p"))
    if version == V311:
        assert c.expect_closed() == []
    else:  # 5.0 allows it
        assert c.expect(CONNACK).reason == 0


@states("v3 3.1.2-1", "v5 3.1.2-1")
@pytest.mark.parametrize("protocol", [b"", b"MQT", b"mqtt", b"MQTTX", b"HTTP", b"\xff\xff"])
def test_protocol_name(dial, version, protocol):
    c = dial(version)
    c.send(connect(version, protocol=binary(protocol)))
    answer = c.expect_closed()
    assert all(p.kind == CONNACK and p.reason in (0x01, 0x84) for p in answer)


@states("v3 3.1.2-2", "v5 3.1.2-2")
@pytest.mark.parametrize("level", [0, 1, 2, 3, 6, 7, 127, 128, 132, 255])
def test_protocol_level(dial, level):
    """The answer has the form of 3.1.1, which is the one that demands it."""
    c = dial(V311)
    c.send(connect(V311, level=level))
    answer = c.expect_closed()
    assert [(p.kind, p.reason) for p in answer] == [(CONNACK, 0x01)]


def test_mqtt_3_1(dial):
    c = dial(V31)
    c.connect(name())
    assert c.subscribe("a/b", qos=1) == [1]
    c.ping()


@states("v3 3.1.0-2", "v5 3.1.0-2", "v5 3.2.0-2", "v3 4.8.0-1")
def test_second_connect(join, version):
    c = join(version)
    c.send(mqtt.connect(name(), version=version))
    c.expect_disconnect(0x82)


@states("v3 3.1.0-1", "v5 3.1.0-1", "v3 3.2.0-1", "v5 3.2.0-1", "v5 3.14.0-1")
@pytest.mark.parametrize("first", [
    mqtt.pingreq(), mqtt.publish("a", "x"), mqtt.subscribe(1, [("a", 0)]), mqtt.unsubscribe(1, ["a"]),
    mqtt.disconnect(), mqtt.auth(), mqtt.ack(mqtt.PUBACK, 1), packet(mqtt.CONNACK, 0, b"\0\0"),
    packet(mqtt.SUBACK, 0, b"\0\1\0"), packet(0, 0, b""), b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00",
], ids=["PINGREQ", "PUBLISH", "SUBSCRIBE", "UNSUBSCRIBE", "DISCONNECT", "AUTH", "PUBACK", "CONNACK", "SUBACK", "0",
        "HTTP", "TLS"])
def test_first_packet_is_no_connect(dial, version, first):
    c = dial(version)
    c.send(first)
    assert c.expect_closed() == []


@states("v3 3.1.4-5", "v5 3.1.4-6", "v3 3.2.2-4", "v3 3.2.2-5", "v5 3.2.2-6", "v5 3.2.2-7")
def test_nothing_behind_a_refused_connect_is_done(dial, join, version, topic):
    watcher = join(V5)
    watcher.subscribe(topic)
    c = dial(V311)
    c.send(connect(V311, level=2), mqtt.publish(topic, "must not arrive"))
    assert [p.reason for p in c.expect_closed()] == [0x01]
    watcher.publish(topic, "end")
    assert watcher.message().payload == b"end"


@states("v3 3.1.4-4", "v5 3.1.4-5", "v5 3.2.2-1", "v5 3.2.2-8", "v3 3.2.2-1", "v5 3.2.2-2")
def test_accepted(dial, version):
    answer = dial(version).connect(name())
    assert not answer.session_present


def test_packets_behind_connect_in_the_same_segment(dial, version, topic):
    c = dial(version)
    c.send(mqtt.connect(name(), version=version), mqtt.subscribe(7, [(topic, 0)], version),
           mqtt.publish(topic, "x", version=version), mqtt.pingreq())
    kinds = [c.receive().kind for _ in range(4)]
    assert kinds[:2] == [CONNACK, mqtt.SUBACK] and sorted(kinds[2:]) == [mqtt.PUBLISH, mqtt.PINGRESP]


def test_one_byte_at_a_time(dial, version, topic):
    c = dial(version)
    for byte in mqtt.connect(name(), version=version) + mqtt.subscribe(1, [(topic, 1)], version):
        c.send(bytes([byte]))
    assert c.expect(CONNACK).reason == 0
    assert c.expect(mqtt.SUBACK).codes == [1]


@states("v3 3.1.3-5", "v5 3.1.3-5")
@pytest.mark.parametrize("client_id", [
    "0", "0123456789abcdefghijklm", "nopqrstuvwxyzABCDEFGHIJ", "KLMNOPQRSTUVWXYZ"])
def test_client_identifiers_that_must_work(dial, version, client_id):
    dial(version).connect(client_id)


@pytest.mark.parametrize("client_id", ["ü/ŝ ☃", "x" * 200, "a b", "$SYS", "+/#", "\ufeffbom"])
def test_client_identifiers_that_may_work(dial, join, version, client_id):
    dial(version).connect(client_id)


@states("v3 3.1.3-6", "v5 3.1.3-6", "v5 3.1.3-7", "v5 3.2.2-16")
def test_empty_client_identifier(dial, version):
    first, second = dial(version), dial(version)
    answers = [c.connect("") for c in (first, second)]
    first.ping()  # not taken over: they are two
    second.ping()
    if version == V5:
        given = [a.props["assigned_client_id"] for a in answers]
        assert all(given) and given[0] != given[1]


@states("v3 3.1.3-7", "v3 3.1.3-8", "v3 3.1.3-9")
def test_empty_client_identifier_without_clean_session(dial):
    dial(V311).connect("", clean=False, refused=0x02)


@states("v5 3.1.3-6", "v5 3.1.3-7")
def test_empty_client_identifier_that_is_kept(dial):
    c = dial(V5)
    given = c.connect("", clean=False, props={"session_expiry": 60}).props["assigned_client_id"]
    c.disconnect()
    c = dial(V5)
    answer = c.connect(given, clean=False, props={"session_expiry": 60})
    assert answer.session_present and "assigned_client_id" not in answer.props
    c.disconnect(0, {"session_expiry": 0})


def test_given_client_identifier_is_not_assigned(join):
    assert "assigned_client_id" not in join(V5).connack.props


# -- what CONNACK of 5.0 promises is what the broker does

def test_promises_of_connack(join):
    """The properties that are always there, and those whose absence means something."""
    props = join(V5).connack.props
    assert 1 <= props["receive_maximum"] <= 65535
    assert props["maximum_packet_size"] >= 128
    assert props["topic_alias_maximum"] >= 1
    assert "session_expiry" not in props  # it took the client's
    assert "auth_method" not in props and "auth_data" not in props


@states("v5 3.2.2-9")
def test_maximum_qos_is_true(join, topic):
    c = join(V5)
    assert "maximum_qos" not in c.connack.props  # all are taken
    for qos in (0, 1, 2):
        assert c.publish(topic, "x", qos) in (None, 0x00, 0x10)


def test_wildcards_are_available_as_promised(join):
    c = join(V5)
    assert c.connack.props.get("wildcard_available", 1) == 1
    assert c.subscribe("#", "+/a") == [0, 0]


def test_subscription_identifiers_are_available_as_promised(join, topic):
    c = join(V5)
    assert c.connack.props.get("subscription_id_available", 1) == 1
    c.subscribe(topic, props={"subscription_id": 5})
    c.publish(topic, "x")
    assert c.message().props["subscription_id"] == [5]


def test_shared_subscriptions_as_promised(join):
    c = join(V5)
    if c.connack.props.get("shared_available", 1):
        assert c.subscribe("$share/g/a") == [0]
    else:
        assert c.subscribe("$share/g/a", check=False) == [0x9E]
        c.ping()


@states("v5 3.2.2-14")
def test_retained_messages_as_promised(join, topic):
    c = join(V5)
    if c.connack.props.get("retain_available", 1):
        assert c.publish(topic, "x", 1, retain=True) in (0x00, 0x10)
        assert c.publish(topic, "", 1, retain=True) in (0x00, 0x10)
    else:
        c.send(mqtt.publish(topic, "x", 1, 1, V5, retain=True))
        c.expect_disconnect(0x9A)


@states("v5 3.2.2-13")
def test_will_retain_as_promised(join, dial, topic):
    if join(V5).connack.props.get("retain_available", 1):
        dial(V5).connect(name(), will=(topic, "x", 0, True))
    else:
        dial(V5).connect(name(), will=(topic, "x", 0, True), refused=0x9A)


@states("v5 3.2.2-22")
def test_keep_alive_is_taken_as_it_is(dial):
    assert "server_keep_alive" not in dial(V5).connect(name(), keep_alive=60).props


@states("v5 3.2.2-21", "v5 3.1.2-21")
@pytest.mark.parametrize("asked", [0, 65535])
def test_longest_keep_alive(dial, asked):
    assert dial(V5).connect(name(), keep_alive=asked).props["server_keep_alive"] == 3600


def test_longest_session_expiry(dial):
    c = dial(V5)
    assert c.connect(name(), props={"session_expiry": 0xFFFFFFFF}).props["session_expiry"] == 7 * 86400
    c.disconnect(0, {"session_expiry": 0})


@states("v5 3.1.2-28")
def test_no_response_information(dial):
    for asked in (0, 1):
        assert "response_information" not in dial(V5).connect(name(), props={"request_response": asked}).props


@states("v5 4.12.0-1")
def test_unknown_authentication_method(dial):
    dial(V5).connect(name(), props={"auth_method": "MAGIC", "auth_data": b"x"}, refused=0x8C)


@states("v5 4.12.0-6", "v5 4.12.0-7")
def test_auth_without_a_method(join):
    c = join(V5)
    c.send(mqtt.auth(0x18, {"auth_method": "MAGIC"}))
    c.expect_disconnect(0x82)


def test_auth_does_not_exist_in_3_1_1(join):
    c = join(V311)
    c.send(mqtt.auth())
    assert c.expect_closed() == []


@states("v5 2.2.2-1")
def test_no_property_length(dial):
    c = dial(V5)
    c.send(packet(mqtt.CONNECT, 0, b"\0\4MQTT\5\2\0\0"))
    assert all(p.reason == 0x81 for p in c.expect_closed())


def test_connack_does_not_exceed_the_clients_packet_size(dial):
    c = dial(V5)
    answer = c.connect(name(), props={"maximum_packet_size": 64})
    assert answer.size <= 64


@states("v5 1.5.4-3", "v3 1.5.3-3")
def test_byte_order_mark_is_a_character(dial, version):
    a, b = dial(version), dial(version)
    a.connect("\ufeffmark")
    b.connect("mark")
    a.ping()  # was not taken over


@states("v3 3.14.1-1", "v5 3.14.1-1", "v3 2.2.2-2")
@pytest.mark.parametrize("flags", [1, 2, 8])
def test_disconnect_with_reserved_flags(join, version, flags):
    c = join(version)
    c.send(mqtt.disconnect(flags=flags))
    c.expect_disconnect(0x81)


@states("v3 3.14.4-1", "v5 3.14.4-1", "v5 3.14.4-2")
def test_disconnect_ends_the_connection(join, version, topic):
    watcher = join(V5)
    watcher.subscribe(topic)
    c = join(version)
    c.send(mqtt.disconnect(), mqtt.publish(topic, "must not arrive", version=version))
    assert c.expect_closed() == []
    watcher.publish(topic, "end")
    assert watcher.message().payload == b"end"


@pytest.mark.parametrize("bad", [
    mqtt.disconnect(0x01), mqtt.disconnect(0x87), mqtt.disconnect(0xFF), packet(DISCONNECT, 0, b"\0\1"),
    packet(DISCONNECT, 0, b"\0\0x"), mqtt.disconnect(0, {"server_reference": "x"}),
], ids=["unknown", "of a server", "0xff", "property length", "bytes behind", "server reference"])
def test_malformed_disconnect(join, bad):
    c = join(V5)
    c.send(bad)
    answer = c.expect_closed()
    assert [p.kind for p in answer] == [DISCONNECT] and answer[0].reason in (0x81, 0x82)


def test_disconnect_of_3_1_1_has_no_body(join):
    c = join(V311)
    c.send(packet(DISCONNECT, 0, b"\0"))
    assert c.expect_closed() == []


@states("v3 3.12.4-1", "v5 3.12.4-1")
def test_ping(join, version):
    c = join(version)
    c.send(*[mqtt.pingreq()] * 100)
    for _ in range(100):
        c.expect(mqtt.PINGRESP)


@states("v3 2.2.2-2", "v5 2.1.3-1")
@pytest.mark.parametrize("bad", [
    mqtt.pingreq(flags=1), mqtt.pingreq(body=b"\0"), packet(mqtt.PINGRESP, 0, b""), packet(0, 0, b""),
    packet(mqtt.CONNACK, 0, b"\0\0"), packet(mqtt.SUBACK, 0, b"\0\1\0"),
], ids=["flags", "body", "PINGRESP", "type 0", "CONNACK", "SUBACK"])
def test_packets_that_a_client_does_not_send(join, version, bad):
    c = join(version)
    c.send(bad)
    answer = c.expect_closed()
    assert [p.kind for p in answer] == ([DISCONNECT] if version == V5 else [])
    assert all(p.reason in (0x81, 0x82) for p in answer)
