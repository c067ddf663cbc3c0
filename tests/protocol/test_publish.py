# SPDX-License-Identifier: Apache-2.0
"""PUBLISH and its acknowledgements: order, duplicates, packet identifiers, properties on their way."""

import pytest

import mqtt
from mqtt import PUBACK, PUBCOMP, PUBLISH, PUBREC, PUBREL, V311, V5, binary, packet

states = pytest.mark.states


def refused(c, version, reasons=(0x81, 0x82, 0x90)):
    answer = c.expect_closed()
    assert [p.kind for p in answer] == ([mqtt.DISCONNECT] if version == V5 else [])
    assert all(p.reason in reasons for p in answer), answer


MALFORMED = {
    "QoS 3": lambda v: mqtt.publish("a", "x", flags=0x06, qos=1, version=v),
    "QoS 0 with DUP": lambda v: mqtt.publish("a", "x", flags=0x08, version=v),
    "no topic": lambda v: packet(PUBLISH, 0, b""),
    "cut topic": lambda v: packet(PUBLISH, 0, b"\0\5a"),
    "no packet identifier": lambda v: packet(PUBLISH, 2, binary("a")),
    "half a packet identifier": lambda v: packet(PUBLISH, 2, binary("a") + b"\1"),
    "packet identifier 0": lambda v: mqtt.publish("a", "x", 1, 0, v),
    "packet identifier 0, QoS 2": lambda v: mqtt.publish("a", "x", 2, 0, v),
    "#": lambda v: mqtt.publish("a/#", "x", version=v),
    "+": lambda v: mqtt.publish("+/a", "x", version=v),
    "a+b": lambda v: mqtt.publish("a+b", "x", version=v),
    "empty topic": lambda v: mqtt.publish("", "x", version=v),
    "U+0000": lambda v: mqtt.publish("a\0b", "x", version=v),
    "no UTF-8": lambda v: mqtt.publish(b"a\x80", "x", version=v),
    "surrogate": lambda v: mqtt.publish(b"\xed\xa0\x80", "x", version=v),
    "overlong": lambda v: mqtt.publish(b"\xe0\x80\xaf", "x", version=v),
    "above U+10FFFF": lambda v: mqtt.publish(b"\xf4\x90\x80\x80", "x", version=v),
    "cut character": lambda v: mqtt.publish(b"a\xe2\x82", "x", version=v),
}


@states("v3 3.3.1-2", "v3 3.3.1-4", "v3 2.3.1-1", "v3 3.3.2-1", "v3 3.3.2-2", "v3 4.7.1-1", "v3 4.7.3-1", "v3 4.7.3-2",
        "v3 1.5.3-1", "v3 1.5.3-2", "v5 3.3.1-2", "v5 3.3.1-4", "v5 2.2.1-3", "v5 3.3.2-1", "v5 3.3.2-2", "v5 4.7.0-1",
        "v5 4.7.3-1", "v5 4.7.3-2", "v5 1.5.4-1", "v5 1.5.4-2", "v5 3.3.2-8")
@pytest.mark.parametrize("case", MALFORMED)
def test_malformed(join, version, case):
    c = join(version)
    c.send(MALFORMED[case](version))
    refused(c, version)


@pytest.mark.parametrize("topic_name", ["a", "/", "a/", "//", "a b", "ü/€/😀", "\ufeff", "\u007f", "a/" * 31 + "a",
                                        "x" * 1000, "$x/y", "\ufffd", "e\u0301"])
def test_topic_names_that_work(join, version, topic_name):
    c = join(version)
    c.subscribe(topic_name)
    c.publish(topic_name, "x")
    assert c.message().topic == topic_name


@pytest.mark.parametrize("payload", [b"", b"\0", b"\xff\xfe", bytes(range(256)), b"x" * 127, b"x" * 128, b"x" * 16383,
                                     b"x" * 16384, b"x" * 100000, b"x" * 1000000],
                         ids=["0", "1", "2", "256", "127", "128", "16383", "16384", "100000", "1000000"])
def test_payload_is_not_touched(join, version, topic, payload):
    c = join(version)
    c.subscribe(topic)
    c.publish(topic, payload)
    assert c.message().payload == payload


@pytest.mark.parametrize("total", [127, 128, 129, 16383, 16384, 16385, 2097, 65535, 65536])
def test_every_form_of_the_remaining_length(join, topic, total):
    c = join(V311)
    c.subscribe(topic)
    fixed = len(topic.encode()) + 2
    payload = b"p" * (total - fixed)
    c.publish(topic, payload)
    m = c.message()
    assert m.payload == payload and m.size in (total + 2, total + 3, total + 4)


@states("v5 1.5.5-1")
@pytest.mark.parametrize("length", [b"\x80\x00", b"\x8a\x00", b"\x80\x80\x00", b"\xff\xff\xff\xff\x7f",
                                    b"\x80\x80\x80\x80\x01"],
                         ids=lambda x: x.hex())
def test_remaining_length_of_wrong_form(join, length):
    c = join(V5)
    c.send(packet(PUBLISH, 0, b"\0\1a\0" + b"x" * 6, length=length))
    refused(c, V5, [0x81, 0x95])


def test_remaining_length_of_five_bytes(join):
    c = join(V311)
    c.send(packet(PUBLISH, 0, b"", length=b"\x80\x80\x80\x80\x01"))
    refused(c, V311)


# -- QoS 1

@states("v3 3.3.4-1", "v3 4.3.2-2", "v3 2.3.1-6", "v5 3.3.4-1", "v5 4.3.2-4", "v5 2.2.1-5", "v5 3.4.2-1")
@pytest.mark.parametrize("packet_id", [1, 255, 256, 32768, 65535])
def test_puback(join, version, topic, packet_id):
    c = join(version)
    c.send(mqtt.publish(topic, "x", 1, packet_id, version))
    answer = c.expect(PUBACK)
    assert answer.packet_id == packet_id and answer.reason in (0x00, 0x10)


def test_no_matching_subscribers(join, topic):
    c = join(V5)
    assert c.publish(topic, "x", 1) == 0x10
    c.subscribe(topic)
    c.send(mqtt.publish(topic, "x", 1, 1, V5))
    kinds = {p.kind: p for p in (c.receive(), c.receive())}
    assert kinds[PUBACK].reason == 0x00


@states("v3 4.3.2-2", "v5 4.3.2-5")
def test_packet_identifier_again_is_a_new_message(join, version, topic):
    watcher = join(version)
    watcher.subscribe(topic, qos=1)
    c = join(version)
    for i in range(3):
        c.send(mqtt.publish(topic, str(i), 1, 7, version, dup=i > 0))
        assert c.expect(PUBACK).packet_id == 7
    assert [m.payload for m in watcher.messages(3)] == [b"0", b"1", b"2"]


@states("v3 3.3.1-3", "v5 3.3.1-3", "v3 4.3.1-1", "v3 4.3.2-1", "v5 4.3.1-1", "v5 4.3.2-2")
def test_dup_is_not_passed_on(join, version, topic):
    watcher = join(version)
    watcher.subscribe(topic, qos=1)
    c = join(version)
    c.send(mqtt.publish(topic, "x", 1, 1, version, dup=True))
    c.expect(PUBACK)
    assert not watcher.message().dup


@states("v3 4.6.0-6", "v3 4.6.0-5", "v5 4.6.0-5", "v5 4.6.0-6", "v3 2.3.1-4", "v5 2.2.1-4", "v5 4.3.2-1")
@pytest.mark.parametrize("qos", [0, 1])
def test_order(join, version, topic, qos):
    watcher = join(version)
    watcher.subscribe(f"{topic}/#", qos=qos)
    c = join(version)
    n = 800  # fewer than may wait for one session
    for start in range(0, n, 100):
        c.send(*[mqtt.publish(f"{topic}/{i % 7}", str(i), qos, i + 1, version) for i in range(start, start + 100)])
        if qos:
            assert [c.expect(PUBACK).packet_id for _ in range(100)] == list(range(start + 1, start + 101))
    got = watcher.messages(n)
    assert [int(m.payload) for m in got] == list(range(n))


def test_order_between_subscribers_and_publishers(join, topic):
    """Three publishers at once: each receiver sees each publisher's messages in order."""
    watchers = [join(V5) for _ in range(3)]
    for w in watchers:
        w.subscribe(f"{topic}/+", qos=1)
    publishers = [join(V5) for _ in range(3)]
    for start in range(0, 200, 20):
        for k, p in enumerate(publishers):
            p.send(*[mqtt.publish(f"{topic}/{k}", str(i), 1, i + 1, V5) for i in range(start, start + 20)])
        for p in publishers:
            for _ in range(20):
                p.expect(PUBACK)
    for w in watchers:
        got = w.messages(600)
        for k in range(3):
            assert [int(m.payload) for m in got if m.topic == f"{topic}/{k}"] == list(range(200))


def test_acknowledging_what_was_never_sent(join, version):
    """A client that acknowledges too much does no harm: it is ignored or told to go."""
    c = join(version)
    c.send(mqtt.ack(PUBACK, 4711), mqtt.pingreq())
    answer = c._packet(mqtt.time.monotonic() + mqtt.PATIENCE)
    assert answer is None or answer.kind in (mqtt.PINGRESP, mqtt.DISCONNECT)


@pytest.mark.parametrize("bad", [
    packet(PUBACK, 1, b"\0\1"), packet(PUBACK, 0, b"\0"), packet(PUBACK, 0, b""), packet(PUBACK, 0, b"\0\0"),
    packet(PUBREC, 2, b"\0\1"), packet(PUBCOMP, 2, b"\0\1"), packet(PUBREL, 0, b"\0\1"), packet(PUBREL, 3, b"\0\1"),
    packet(PUBREL, 2, b"\0"), packet(PUBREL, 2, b"\0\0"),
], ids=["PUBACK flags", "PUBACK cut", "PUBACK empty", "PUBACK 0", "PUBREC flags", "PUBCOMP flags", "PUBREL flags 0",
        "PUBREL flags 3", "PUBREL cut", "PUBREL 0"])
@states("v3 3.6.1-1", "v5 3.6.1-1", "v3 2.2.2-1", "v3 2.2.2-2", "v5 2.1.3-1")
def test_malformed_acknowledgement(join, version, bad):
    c = join(version)
    c.send(bad)
    refused(c, version)


@pytest.mark.parametrize("bad", [
    mqtt.ack(PUBACK, 1, 0x01), mqtt.ack(PUBACK, 1, 0x92), mqtt.ack(PUBACK, 1, 0xFF), mqtt.ack(PUBREL, 1, 0x10),
    mqtt.ack(PUBREC, 1, 0x92), mqtt.ack(PUBCOMP, 1, 0x80), packet(PUBACK, 0, b"\0\1\0\1"),
    packet(PUBACK, 0, b"\0\1\0\0x"), mqtt.ack(PUBACK, 1, 0, {"content_type": "x"}),
], ids=["0x01", "0x92", "0xff", "PUBREL 0x10", "PUBREC 0x92", "PUBCOMP 0x80", "length", "behind", "property"])
@states("v5 3.4.2-1", "v5 3.5.2-1", "v5 3.6.2-1", "v5 3.7.2-1")
def test_malformed_reason(join, bad):
    c = join(V5)
    c.send(bad)
    refused(c, V5)


# -- QoS 2

@states("v3 4.3.3-2", "v5 4.3.3-8", "v5 4.3.3-10", "v5 4.3.3-11", "v5 4.3.3-12", "v5 3.5.2-1", "v5 3.7.2-1",
        "v3 2.3.1-6", "v5 2.2.1-5")
def test_exactly_once_from_the_client(join, version, topic):
    watcher = join(version)
    watcher.subscribe(topic)
    c = join(version)
    for i in range(3):
        c.send(mqtt.publish(topic, "once", 2, 9, version, dup=i > 0))
        assert c.expect(PUBREC).packet_id == 9
    for _ in range(2):
        c.send(mqtt.ack(PUBREL, 9))
        assert c.expect(PUBCOMP).packet_id == 9
    c.publish(topic, "again", 2)
    assert [m.payload for m in watcher.messages(2)] == [b"once", b"again"]
    watcher.ping()


@states("v3 4.3.3-2", "v5 4.3.3-10")
def test_exactly_once_across_connections(dial, join, version, topic):
    watcher = join(version)
    watcher.subscribe(topic)
    options = {"clean": False, "props": {"session_expiry": 300} if version == V5 else ()}
    who = f"twice-{topic.replace('/', '-')}"
    for i in range(2):
        c = dial(version)
        c.connect(who, **options)
        c.send(mqtt.publish(topic, "once", 2, 3, version, dup=i > 0))
        c.expect(PUBREC)
        c.reset()
    c = dial(version)
    c.connect(who, **options)
    c.send(mqtt.ack(PUBREL, 3))
    c.expect(PUBCOMP)
    c.publish(topic, "end", 1)
    assert [m.payload for m in watcher.messages(2)] == [b"once", b"end"]


@states("v3 4.3.3-1", "v5 4.3.3-1", "v5 4.3.3-2", "v5 4.3.3-3", "v5 4.3.3-4")
def test_exactly_once_to_the_client(join, version, topic):
    c = join(version)
    c.subscribe(topic, qos=2)
    p = join(version)
    for i in range(5):
        p.publish(topic, str(i), 2)
    got = c.messages(5, acknowledge=False)
    assert [m.payload for m in got] == [b"%d" % i for i in range(5)]
    assert all(m.qos == 2 and not m.dup for m in got)
    for m in got:
        c.send(mqtt.ack(PUBREC, m.packet_id))
    assert [c.expect(PUBREL).packet_id for _ in got] == [m.packet_id for m in got]
    for m in got:
        c.send(mqtt.ack(PUBCOMP, m.packet_id))
    c.ping()


@states("v5 4.3.3-4", "v5 4.4.0-2")
def test_pubrec_with_an_error_ends_the_exchange(join, topic):
    c = join(V5)
    c.subscribe(topic, qos=2)
    join(V5).publish(topic, "x", 2)
    c.send(mqtt.ack(PUBREC, c.message(acknowledge=False).packet_id, 0x83))
    c.ping()  # no PUBREL


def test_pubrel_for_an_unknown_packet_identifier(join, version):
    c = join(version)
    c.send(mqtt.ack(PUBREL, 99))
    answer = c.expect(PUBCOMP)
    assert answer.packet_id == 99 and answer.reason == (0x92 if version == V5 else 0)


# -- properties on their way

@states("v5 3.3.2-4", "v5 3.3.2-13", "v5 3.3.2-15", "v5 3.3.2-16", "v5 3.3.2-17", "v5 3.3.2-18", "v5 3.3.2-19",
        "v5 3.3.2-20", "v5 3.1.3-10")
@pytest.mark.parametrize("qos", [0, 1, 2])
def test_properties_are_passed_on(join, topic, qos):
    sent = {
        "payload_format": 1, "content_type": "text/plain; charset=ü", "response_topic": "answer/to/me",
        "correlation_data": b"\0\1\2", "user_property": [("b", "1"), ("a", "2"), ("b", "1"), ("", "")],
    }
    c, old = join(V5), join(V311)
    for x in (c, old):
        x.subscribe(topic, qos=qos)
    join(V5).publish(topic, "text", qos, props=sent)
    assert c.message().props == sent
    assert old.message().payload == b"text"


def test_no_property_is_invented(join, topic):
    c = join(V5)
    c.subscribe(topic)
    join(V311).publish(topic, "x")
    join(V5).publish(topic, "x")
    assert [m.props for m in c.messages(2)] == [{}, {}]


@states("v5 3.3.2-6")
def test_message_expiry_is_passed_on(join, topic):
    c = join(V5)
    c.subscribe(topic)
    join(V5).publish(topic, "x", props={"message_expiry": 1000})
    assert 990 <= c.message().props["message_expiry"] <= 1000


@states("v5 3.3.2-5")
def test_message_expires_while_it_waits(dial, join, topic):
    options = {"clean": False, "props": {"session_expiry": 300}}
    c = dial(V5)
    c.connect(f"late-{topic.replace('/', '-')}", **options)
    c.subscribe(f"{topic}/#", qos=1)
    c.disconnect()
    watcher, p = join(V5), join(V5)
    watcher.subscribe(f"{topic}/will")
    p.publish(f"{topic}/a", "short", 1, props={"message_expiry": 1})
    p.publish(f"{topic}/a", "long", 1, props={"message_expiry": 1000})
    # Two seconds on the broker's clock: its own will delay.
    p.close()
    timer = dial(V5)
    timer.connect("", will=(f"{topic}/will", "x", 0, False), will_props={"will_delay": 2}, props={"session_expiry": 60})
    timer.reset()
    watcher.message()
    c = dial(V5)
    c.connect(f"late-{topic.replace('/', '-')}", **options)
    m = c.message()
    assert m.payload == b"long" and m.props["message_expiry"] < 1000
    c.ping()


# -- topic aliases of the client

@states("v5 3.3.2-12")
def test_topic_aliases(join, topic):
    c = join(V5)
    most = c.connack.props["topic_alias_maximum"]
    c.subscribe(f"{topic}/#")
    for alias in range(1, most + 1):
        c.send(mqtt.publish(f"{topic}/{alias}", "first", version=V5, props={"topic_alias": alias}))
    for alias in range(1, most + 1):
        c.send(mqtt.publish("", "second", version=V5, props={"topic_alias": alias}))
    c.send(mqtt.publish(f"{topic}/new", "third", version=V5, props={"topic_alias": 1}))
    c.send(mqtt.publish("", "fourth", version=V5, props={"topic_alias": 1}))
    got = c.messages(2 * most + 2)
    assert [m.topic for m in got[most:2 * most]] == [f"{topic}/{a}" for a in range(1, most + 1)]
    assert [m.topic for m in got[-2:]] == [f"{topic}/new"] * 2


@states("v5 3.1.2-26", "v5 3.1.2-27", "v5 3.3.2-11")
@pytest.mark.parametrize("most", [0, 1, 5])
def test_topic_aliases_of_the_server(dial, join, topic, most):
    """Never more than the client allows, and never one that was not defined."""
    c = dial(V5)
    c.connect("", props={"topic_alias_maximum": most})
    c.subscribe(f"{topic}/#")
    p = join(V5)
    for i in range(20):
        p.publish(f"{topic}/{i % 10}", "x")
    known = {}
    for i, m in enumerate(c.messages(20)):
        alias = m.props.get("topic_alias")
        assert alias is None or 1 <= alias <= most
        if m.topic:
            known[alias] = m.topic
        assert (m.topic or known[alias]) == f"{topic}/{i % 10}"


@states("v5 3.3.2-9", "v5 3.2.2-17", "v5 3.3.2-8")
def test_topic_alias_too_large(join, topic):
    for alias in (0, 65535, None):
        c = join(V5)
        alias = c.connack.props["topic_alias_maximum"] + 1 if alias is None else alias
        c.send(mqtt.publish(topic, "x", version=V5, props={"topic_alias": alias}))
        c.expect_disconnect(0x94)


def test_topic_alias_that_was_never_defined(join):
    c = join(V5)
    c.send(mqtt.publish("", "x", version=V5, props={"topic_alias": 1}))
    c.expect_disconnect(0x82)


@states("v5 3.3.4-6")
def test_subscription_identifier_from_a_client(join, topic):
    c = join(V5)
    c.send(mqtt.publish(topic, "x", version=V5, props={"subscription_id": 1}))
    c.expect_disconnect(0x82)


@states("v5 3.3.2-14")
@pytest.mark.parametrize("response", ["a/#", "+", "a/+/b"])
def test_response_topic_with_wildcards(join, topic, response):
    c = join(V5)
    c.send(mqtt.publish(topic, "x", version=V5, props={"response_topic": response}))
    refused(c, V5)


def test_cut_in_the_middle_and_closed(dial, join, topic):
    """Half a PUBLISH is no PUBLISH."""
    watcher = join(V5)
    watcher.subscribe(topic)
    c = join(V5)
    c.send(mqtt.publish(topic, "half", version=V5)[:-2])
    c.reset()
    watcher.publish(topic, "end")
    assert watcher.message().payload == b"end"


def test_identifier_of_subscribe_and_publish_are_apart(join, version, topic):
    """A PUBLISH and a SUBSCRIBE of the client may be under way with the identifier that the server uses."""
    c = join(version)
    c.subscribe(topic, qos=1)
    join(version).publish(topic, "x", 1)
    m = c.message(acknowledge=False)
    c.send(mqtt.publish(f"{topic}/other", "y", 1, m.packet_id, version))
    assert c.expect(PUBACK).packet_id == m.packet_id
    c.send(mqtt.ack(PUBACK, m.packet_id))
    c.ping()


@states("v3 4.6.0-2", "v3 4.6.0-3", "v5 4.6.0-2", "v5 4.6.0-3")
@pytest.mark.parametrize("qos", [1, 2])
def test_acknowledgements_come_in_order(join, version, topic, qos):
    c = join(version)
    numbers = [7, 3, 65535, 1, 200, 8]
    c.send(*(mqtt.publish(topic, "x", qos, n, version) for n in numbers))
    assert [c.expect(mqtt.PUBACK if qos == 1 else mqtt.PUBREC).packet_id for _ in numbers] == numbers
    if qos == 2:
        c.send(*(mqtt.ack(mqtt.PUBREL, n) for n in reversed(numbers)))
        assert [c.expect(mqtt.PUBCOMP).packet_id for _ in numbers] == numbers[::-1]


@states("v3 4.6.0-4", "v5 4.6.0-4")
def test_pubrel_in_the_order_of_pubrec(join, version, topic):
    c, p = join(version), join(version)
    c.subscribe(topic, qos=2)
    for i in range(4):
        p.publish(topic, str(i), 2)
    numbers = [m.packet_id for m in c.messages(4, acknowledge=False)]
    c.send(*(mqtt.ack(mqtt.PUBREC, n) for n in numbers))
    assert [c.expect(mqtt.PUBREL).packet_id for _ in numbers] == numbers


@states("v3 2.3.1-5", "v5 2.2.1-2")
def test_no_packet_identifier_with_qos_0(join, version, topic):
    c = join(version)
    c.subscribe(topic, qos=2)
    c.publish(topic, "x")
    m = c.message()
    assert (m.qos, m.packet_id, m.payload) == (0, None, b"x")


@states("v5 4.3.3-13")
def test_qos_2_goes_on_after_its_expiry(join, topic):
    c = join(V5)
    c.send(mqtt.publish(topic, "x", 2, 5, V5, props={"message_expiry": 1}))
    assert c.expect(mqtt.PUBREC).reason in (0x00, 0x10)
    mqtt.time.sleep(1.1)
    c.send(mqtt.publish(topic, "x", 2, 5, V5, dup=True, props={"message_expiry": 1}))
    assert c.expect(mqtt.PUBREC).reason == 0
    c.send(mqtt.ack(mqtt.PUBREL, 5))
    assert c.expect(mqtt.PUBCOMP).reason == 0
