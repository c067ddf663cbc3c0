# SPDX-License-Identifier: Apache-2.0
"""SUBSCRIBE, UNSUBSCRIBE and which messages they bring."""

import pytest

import mqtt
from mqtt import PUBACK, PUBLISH, SUBACK, SUBSCRIBE, UNSUBACK, UNSUBSCRIBE, V311, V5, binary, packet, u16

states = pytest.mark.states


def props(version):
    return b"\0" if version == V5 else b""


def raw_subscribe(version, payload, packet_id=1, flags=2):
    return packet(SUBSCRIBE, flags, u16(packet_id) + props(version) + payload)


def raw_unsubscribe(version, payload, packet_id=1, flags=2):
    return packet(UNSUBSCRIBE, flags, u16(packet_id) + props(version) + payload)


def refused(c, version, reasons=(0x81, 0x82)):
    """Closed; in 5.0 a DISCONNECT says why."""
    answer = c.expect_closed()
    assert [p.kind for p in answer] == ([mqtt.DISCONNECT] if version == V5 else [])
    assert all(p.reason in reasons for p in answer), answer


MALFORMED = {
    "flags 0": lambda v: raw_subscribe(v, binary("a") + b"\0", flags=0),
    "flags 3": lambda v: raw_subscribe(v, binary("a") + b"\0", flags=3),
    "flags 10": lambda v: raw_subscribe(v, binary("a") + b"\0", flags=10),
    "no filter": lambda v: raw_subscribe(v, b""),
    "no options": lambda v: raw_subscribe(v, binary("a")),
    "cut filter": lambda v: raw_subscribe(v, b"\0\5a"),
    "second filter cut": lambda v: raw_subscribe(v, binary("a") + b"\0" + binary("b")),
    "QoS 3": lambda v: raw_subscribe(v, binary("a") + b"\3"),
    "reserved bit 6": lambda v: raw_subscribe(v, binary("a") + b"\x40"),
    "reserved bit 7": lambda v: raw_subscribe(v, binary("a") + b"\x80"),
    "retain handling 3": lambda v: raw_subscribe(v, binary("a") + b"\x30"),
    "packet identifier 0": lambda v: raw_subscribe(v, binary("a") + b"\0", packet_id=0),
    "nothing": lambda v: packet(SUBSCRIBE, 2, b""),
    "identifier alone": lambda v: packet(SUBSCRIBE, 2, b"\0\1"),
    "filter no UTF-8": lambda v: raw_subscribe(v, binary(b"a\xff") + b"\0"),
    "filter with a surrogate": lambda v: raw_subscribe(v, binary(b"\xed\xbf\xbf") + b"\0"),
    "filter with U+0000": lambda v: raw_subscribe(v, binary("a\0b") + b"\0"),
}


@states("v3 3.8.1-1", "v3 3.8.3-1", "v3 3.8.3-3", "v3 3.8.3-4", "v3 2.3.1-1", "v3 4.7.3-2", "v5 3.8.1-1", "v5 3.8.3-1",
        "v5 3.8.3-2", "v5 3.8.3-5", "v5 2.2.1-3", "v5 4.7.3-2")
@pytest.mark.parametrize("case", MALFORMED)
def test_malformed_subscribe(join, version, case):
    c = join(version)
    c.send(MALFORMED[case](version))
    refused(c, version)


@states("v3 3.8.3-4")
@pytest.mark.parametrize("options", [0x04, 0x08, 0x10, 0x20])
def test_options_of_5_are_reserved_bits_in_3_1_1(join, options):
    c = join(V311)
    c.send(raw_subscribe(V311, binary("a") + bytes([options])))
    refused(c, V311)


INVALID_FILTERS = ["", "a#", "#/a", "a/#/b", "a/b#", "a+", "+a", "a/+b", "a/b+/c", "##", "++", "+#", "a/#+"]


@states("v3 4.7.1-2", "v3 4.7.1-3", "v3 4.7.3-1", "v5 4.7.1-1", "v5 4.7.1-2", "v5 4.7.3-1")
@pytest.mark.parametrize("topic_filter", INVALID_FILTERS)
def test_invalid_filter(join, version, topic_filter):
    """Either the filter is refused in SUBACK, or the connection ends: it is never granted."""
    c = join(version)
    c.send(mqtt.subscribe(1, [(topic_filter, 0)], version), mqtt.pingreq())
    answer = c.receive() if version == V5 else c._packet(mqtt.time.monotonic() + mqtt.PATIENCE)
    if answer is not None and answer.kind == SUBACK:
        assert answer.codes == [0x8F if version == V5 else 0x80]
    else:
        assert answer is None or (answer.kind == mqtt.DISCONNECT and answer.reason in (0x81, 0x82, 0x8F))


INVALID_SHARES = ["$share/", "$share/g", "$share//a", "$share/g/", "$share/g+/a", "$share/g#/a", "$share/+/a"]


@states("v5 4.8.2-1", "v5 4.8.2-2")
@pytest.mark.parametrize("topic_filter", INVALID_SHARES)
def test_invalid_shared_subscription(join, topic_filter):
    c = join(V5)
    c.send(mqtt.subscribe(1, [(topic_filter, 0)], V5))
    answer = c.receive()
    if answer.kind == SUBACK:
        assert answer.codes[0] in (0x8F, 0x9E)
    else:
        assert answer.kind == mqtt.DISCONNECT and answer.reason in (0x81, 0x82, 0x8F, 0x9E)


@states("v5 3.8.3-4")
def test_no_local_on_a_shared_subscription(join):
    c = join(V5)
    c.send(mqtt.subscribe(1, [("$share/g/a", 0x04)], V5))
    refused(c, V5, [0x82])


@states("v3 3.8.4-1", "v3 3.8.4-2", "v3 2.3.1-7", "v3 3.8.4-5", "v3 3.9.3-1", "v3 3.9.3-2", "v3 3.8.4-4",
        "v5 3.8.4-1", "v5 3.8.4-2", "v5 2.2.1-6", "v5 3.8.4-5", "v5 3.8.4-6", "v5 3.8.4-7", "v5 3.9.3-1", "v5 3.9.3-2")
@pytest.mark.parametrize("packet_id", [1, 2, 255, 256, 65535])
def test_suback(join, version, topic, packet_id):
    c = join(version)
    filters = [(f"{topic}/a", 0), (f"{topic}/b", 1), (f"{topic}/c", 2), (f"{topic}/#", 1), (f"{topic}/+", 0)]
    c.send(mqtt.subscribe(packet_id, filters, version))
    answer = c.expect(SUBACK)
    assert answer.packet_id == packet_id
    assert answer.codes == [0, 1, 2, 1, 0]


def test_many_filters_in_one_packet(join, version, topic):
    c = join(version)
    filters = [f"{topic}/{i}" for i in range(500)]
    assert c.subscribe(*filters, qos=1) == [1] * 500
    c.publish(f"{topic}/499", "x")
    assert c.message().topic == f"{topic}/499"
    c.unsubscribe(*filters)
    c.publish(f"{topic}/499", "x")
    c.ping()


# filter, topics it brings, topics it does not bring; below a prefix of the test
MATCHING = [
    ("a/b", ["a/b"], ["a", "a/b/", "/a/b", "a/c", "a/b/c", "A/b"]),
    ("a/+", ["a/b", "a/"], ["a", "a/b/c"]),
    ("+/b", ["a/b", "/b"], ["b", "a/b/c"]),
    ("+", ["a"], ["a/b", "/a"]),
    ("a/+/c", ["a/b/c", "a//c"], ["a/c", "a/b/b/c", "a/b/c/d"]),
    ("a/#", ["a", "a/b", "a/b/c", "a/"], ["ab", "b/a"]),
    ("#", ["a", "a/b/c", "/"], []),
    ("+/+", ["a/b", "/"], ["a", "a/b/c"]),
    ("+/#", ["a", "a/b", "/"], []),
    ("a//b", ["a//b"], ["a/b", "a/x/b"]),
    ("/", ["/"], ["//"]),
    ("a/b/", ["a/b/"], ["a/b"]),
    ("a b/ü", ["a b/ü"], ["a b/u", "ab/ü"]),
    ("ACCOUNTS", ["ACCOUNTS"], ["Accounts"]),
    ("\u00e9", ["\u00e9"], ["e\u0301"]),  # not normalised
    ("\ufeffa", ["\ufeffa"], ["a"]),
]


@states("v3 3.3.2-3", "v3 4.7.1-2", "v3 4.7.1-3", "v3 4.7.3-4", "v5 3.3.2-3", "v5 4.7.1-1", "v5 4.7.1-2", "v5 4.7.3-4")
@pytest.mark.parametrize("topic_filter, yes, no", MATCHING, ids=[repr(row[0]) for row in MATCHING])
def test_matching(join, version, topic, topic_filter, yes, no):
    c = join(version)
    c.subscribe(f"{topic}/{topic_filter}")
    for name in no + yes:
        c.publish(f"{topic}/{name}", name)
    assert sorted(m.topic for m in c.messages(len(yes))) == sorted(f"{topic}/{name}" for name in yes)
    c.ping()


@states("v3 4.7.2-1", "v5 4.7.2-1")
@pytest.mark.parametrize("topic_filter", ["#", "+/x/#", "+/x/y", "+/#"])
def test_topics_with_dollar_are_not_matched_by_a_leading_wildcard(join, version, topic_filter):
    c = join(version)
    assert c.subscribe(topic_filter) == [0]
    c.publish("$x/x/y", "hidden")
    c.publish("q/x/y", "seen")
    while (m := c.message()).payload != b"seen":
        assert not m.topic.startswith("$")


@states("v3 3.8.4-3", "v5 3.8.4-3")
def test_the_same_filter_again_replaces_the_subscription(join, version, topic):
    c = join(version)
    assert c.subscribe(topic, qos=0) == [0]
    assert c.subscribe(topic, qos=1) == [1]
    c.send(mqtt.publish(topic, "x", 1, 9, version))
    got = [c.receive(), c.receive()]
    assert sorted(p.kind for p in got) == [PUBLISH, PUBACK]
    m = next(p for p in got if p.kind == PUBLISH)
    assert m.qos == 1
    c.send(mqtt.ack(PUBACK, m.packet_id))
    c.ping()  # one copy


@states("v3 3.3.5-1", "v3 3.8.4-6", "v5 3.3.4-2", "v5 3.8.4-8", "v5 4.8.2-3", "v5 3.2.2-10")
@pytest.mark.parametrize("granted", [0, 1, 2])
@pytest.mark.parametrize("published", [0, 1, 2])
def test_qos_is_the_lower_one(join, version, topic, granted, published):
    c = join(version)
    c.subscribe(topic, qos=granted)
    join(version).publish(topic, "x", published)
    assert c.message().qos == min(granted, published)
    c.ping()


@states("v3 3.3.5-1", "v5 3.3.4-2", "v5 3.3.4-3", "v5 3.3.4-4", "v5 3.3.4-5")
def test_overlapping_subscriptions(join, version, topic):
    """One message, with the highest QoS that was granted and the identifiers of all."""
    c = join(version)
    extra = {1: {"subscription_id": 1}, 2: {"subscription_id": 268435455}} if version == V5 else {1: (), 2: ()}
    c.subscribe(f"{topic}/#", qos=0, props=extra[1])
    c.subscribe(f"{topic}/a", qos=1, props=extra[2])
    p = join(version)
    p.publish(f"{topic}/a", "x", 1)
    p.publish(f"{topic}/b", "end", 1)
    got, end = c.messages(2)
    assert (got.payload, got.qos, end.payload) == (b"x", 1, b"end")
    if version == V5:
        assert sorted(got.props["subscription_id"]) == [1, 268435455]
        assert end.props["subscription_id"] == [1]
    c.ping()


@states("v5 3.8.3-3")
def test_no_local(join, topic):
    c, other = join(V5), join(V5)
    c.subscribe(topic, options=0x04)
    c.publish(topic, "own")
    c.ping()
    other.publish(topic, "other")
    assert c.message().payload == b"other"


def test_own_messages_come_without_no_local(join, version, topic):
    c = join(version)
    c.subscribe(topic)
    c.publish(topic, "own")
    assert c.message().payload == b"own"


@states("v3 3.3.1-9", "v5 3.3.1-12")
def test_retain_is_cleared_on_delivery_to_a_standing_subscription(join, topic):
    c, p = join(V311), join(V311)
    c.subscribe(topic, qos=1)
    p.publish(topic, "x", 1, retain=True)
    assert not c.message().retain
    p.publish(topic, "", 1, retain=True)


# -- UNSUBSCRIBE

MALFORMED_UNSUBSCRIBE = {
    "flags 0": lambda v: raw_unsubscribe(v, binary("a"), flags=0),
    "flags 6": lambda v: raw_unsubscribe(v, binary("a"), flags=6),
    "no filter": lambda v: raw_unsubscribe(v, b""),
    "cut filter": lambda v: raw_unsubscribe(v, b"\0\5a"),
    "byte behind": lambda v: raw_unsubscribe(v, binary("a") + b"\0"),
    "packet identifier 0": lambda v: raw_unsubscribe(v, binary("a"), packet_id=0),
    "filter no UTF-8": lambda v: raw_unsubscribe(v, binary(b"\xff")),
    "filter with U+0000": lambda v: raw_unsubscribe(v, binary("\0")),
    "empty filter": lambda v: raw_unsubscribe(v, binary("")),
}


@states("v3 3.10.1-1", "v3 3.10.3-1", "v3 3.10.3-2", "v5 3.10.1-1", "v5 3.10.3-1", "v5 3.10.3-2")
@pytest.mark.parametrize("case", MALFORMED_UNSUBSCRIBE)
def test_malformed_unsubscribe(join, version, case):
    c = join(version)
    c.send(MALFORMED_UNSUBSCRIBE[case](version))
    refused(c, version, [0x81, 0x82, 0x8F])


@states("v3 3.10.4-1", "v3 3.10.4-2", "v3 3.10.4-4", "v3 3.10.4-6", "v5 3.10.4-1", "v5 3.10.4-2", "v5 3.10.4-4",
        "v5 3.10.4-6", "v5 3.11.3-1", "v5 3.11.3-2")
def test_unsubscribe(join, version, topic):
    c = join(version)
    c.subscribe(f"{topic}/a", f"{topic}/b", f"{topic}/+/c")
    codes = c.unsubscribe(f"{topic}/a", f"{topic}/x", f"{topic}/+/c", f"{topic}/+")
    assert codes == ([0x00, 0x11, 0x00, 0x11] if version == V5 else [])
    for name in ("a", "x/c", "b"):
        c.publish(f"{topic}/{name}", name)
    assert c.message().payload == b"b"
    c.ping()


@states("v3 3.10.4-5", "v3 2.3.1-7", "v5 3.10.4-5", "v5 2.2.1-6")
@pytest.mark.parametrize("packet_id", [1, 65535])
def test_unsubscribe_from_nothing(join, version, packet_id):
    c = join(version)
    c.send(mqtt.unsubscribe(packet_id, ["never/subscribed"], version))
    answer = c.expect(UNSUBACK)
    assert answer.packet_id == packet_id and answer.codes == ([0x11] if version == V5 else [])


@states("v3 3.10.4-3", "v5 3.10.4-3")
def test_unsubscribe_completes_what_is_under_way(join, version, topic):
    c = join(version)
    c.subscribe(topic, qos=2)
    p = join(version)
    p.publish(topic, "x", 2)
    m = c.message(acknowledge=False)
    c.unsubscribe(topic)
    p.publish(topic, "y", 2)
    c.send(mqtt.ack(mqtt.PUBREC, m.packet_id))
    assert c.expect(mqtt.PUBREL).packet_id == m.packet_id
    c.send(mqtt.ack(mqtt.PUBCOMP, m.packet_id))
    c.ping()


@states("v3 4.5.0-1", "v5 4.5.0-1")
def test_every_subscriber_gets_it(join, version, topic):
    clients = [join(version) for _ in range(20)]
    for c in clients:
        c.subscribe(topic, qos=1)
    join(version).publish(topic, "x", 1)
    for c in clients:
        assert c.message().payload == b"x"
        c.ping()


def test_versions_mix(join, topic):
    old, new = join(V311), join(V5)
    for c in (old, new):
        c.subscribe(topic, qos=1)
    old.publish(topic, "from 3.1.1")
    new.publish(topic, "from 5.0", props={"content_type": "text/plain", "user_property": ("a", "b")})
    for c in (old, new):
        got = {m.payload: m for m in c.messages(2)}
        assert set(got) == {b"from 3.1.1", b"from 5.0"}
    assert got[b"from 5.0"].props["content_type"] == "text/plain"
