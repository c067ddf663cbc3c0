# SPDX-License-Identifier: Apache-2.0
"""Retained messages: kept, replaced, taken away, and brought to new subscriptions."""

import pytest

import mqtt
from conftest import name
from mqtt import V5, V311

states = pytest.mark.states

SETTINGS = ["broker.max-queued-messages=20", "broker.max-retained-messages=3000", "broker.max-retained-bytes=2M"]
RULES = [("allow", "any", "all", "#"), ("allow", "any", "all", "$x/#"),
         ("deny", "any", "receive", "t/+/secret"), ("deny", "any", "subscribe", "t/+/closed")]

NO_LOCAL, AS_PUBLISHED, IF_NEW, NEVER = 0x04, 0x08, 0x10, 0x20


def payloads(c, n):
    return sorted(m.payload.decode() for m in c.messages(n))


@pytest.fixture
def publisher(join, version):
    return join(version)


@states("v3 3.3.1-5", "v3 3.3.1-6", "v3 3.3.1-8", "v5 3.3.1-5", "v5 3.3.1-9")
@pytest.mark.parametrize("qos", [0, 1, 2])
@pytest.mark.parametrize("granted", [0, 1, 2])
def test_kept_with_its_qos(join, version, publisher, topic, qos, granted):
    publisher.publish(topic, "x", qos, retain=True)
    publisher.ping()
    c = join(version)
    c.subscribe(topic, qos=granted)
    m = c.message()
    assert (m.topic, m.payload, m.qos, m.retain, m.dup) == (topic, b"x", min(qos, granted), True, False)
    c.ping()


@states("v3 3.3.1-7", "v5 3.3.1-5")
@pytest.mark.parametrize("first, second", [(0, 0), (1, 0), (2, 1), (0, 2)])
def test_the_last_one_counts(join, version, publisher, topic, first, second):
    publisher.publish(topic, "old", first, retain=True)
    publisher.publish(topic, "new", second, retain=True)
    c = join(version)
    publisher.ping()
    c.subscribe(topic, qos=2)
    assert c.message().payload == b"new"
    c.ping()


@states("v3 3.3.1-10", "v3 3.3.1-11", "v5 3.3.1-6", "v5 3.3.1-7")
@pytest.mark.parametrize("qos", [0, 1, 2])
def test_an_empty_payload_takes_it_away(join, version, publisher, topic, qos):
    present = join(version)
    publisher.publish(topic, "x", 1, retain=True)
    present.subscribe(topic)
    assert present.message().retain
    publisher.publish(topic, "", qos, retain=True)
    m = present.message()  # processed as any message
    assert m.payload == b"" and not m.retain
    publisher.ping()
    c = join(version)
    c.subscribe(topic)
    c.ping()


@states("v3 3.3.1-12", "v5 3.3.1-8")
@pytest.mark.parametrize("payload", ["", "y"])
def test_without_the_flag_nothing_changes(join, version, publisher, topic, payload):
    publisher.publish(topic, "x", 1, retain=True)
    publisher.publish(topic, payload, 1)
    c = join(version)
    c.subscribe(topic, f"{topic}/#")
    assert c.message().payload == b"x"
    assert c.message().payload == b"x"
    c.ping()


@states("v3 3.1.2-7", "v5 3.1.2-4")
def test_no_part_of_the_session(join, dial, version, topic):
    c = join(version)
    c.publish(topic, "x", 1, retain=True)
    c.disconnect()
    c = join(version)
    c.subscribe(topic)
    assert c.message().payload == b"x"


def test_not_sent_again_to_a_session_that_returns(dial, version, topic):
    options = {"clean": False, "props": {"session_expiry": 60} if version == V5 else ()}
    who = name()
    c = dial(version)
    c.connect(who, **options)
    c.publish(topic, "x", 1, retain=True)
    c.subscribe(topic)
    assert c.message().retain
    c.disconnect()
    c = dial(version)
    assert c.connect(who, **options).session_present
    c.ping()


@states("v3 3.8.4-3", "v5 3.8.4-3", "v5 3.8.4-4", "v5 3.3.1-9")
def test_a_repeated_subscription_brings_them_again(join, version, publisher, topic):
    publisher.publish(topic, "x", 1, retain=True)
    c = join(version)
    for _ in range(3):
        c.subscribe(topic)
        assert c.message().retain
    c.ping()


@states("v5 3.3.1-10")
def test_only_if_new(join, topic):
    c = join(V5)
    c.publish(topic, "x", 1, retain=True)
    c.subscribe(topic, options=IF_NEW)
    assert c.message().retain
    c.subscribe(topic, options=IF_NEW)
    c.ping()
    c.unsubscribe(topic)
    c.subscribe(topic, options=IF_NEW)
    assert c.message().retain
    c.ping()


@states("v5 3.3.1-11")
def test_never(join, topic):
    c = join(V5)
    c.publish(topic, "x", 1, retain=True)
    c.subscribe(topic, options=NEVER)
    c.ping()
    c.subscribe(topic, options=NEVER | AS_PUBLISHED)
    c.ping()


@states("v5 3.3.1-12", "v5 3.3.1-13", "v3 3.3.1-9")
def test_retain_as_published(join, topic):
    as_published, plain, old = join(V5), join(V5), join(V311)
    as_published.subscribe(topic, options=AS_PUBLISHED)
    plain.subscribe(topic)
    old.subscribe(topic)
    p = join(V5)
    p.publish(topic, "kept", 1, retain=True)
    p.publish(topic, "not", 1)
    assert [m.retain for m in as_published.messages(2)] == [True, False]
    assert [m.retain for m in plain.messages(2)] == [False, False]
    assert [m.retain for m in old.messages(2)] == [False, False]
    late = join(V5)
    late.subscribe(topic, options=0)
    assert late.message().retain  # a new subscription, whatever the option


FILTERS = [
    ("+/a", ["x/a"]), ("+/+", ["x/a", "x/b", "/"]), ("#", ["x", "x/a", "x/b", "x/a/c", "/", "y/a/c"]),
    ("x/#", ["x", "x/a", "x/b", "x/a/c"]), ("+/a/#", ["x/a", "x/a/c", "y/a/c"]), ("+/a/+", ["x/a/c", "y/a/c"]),
    ("x", ["x"]), ("/", ["/"]), ("+", ["x"]), ("z/#", []), ("x/a/c/#", ["x/a/c"]), ("y/a", []),
]


@pytest.mark.parametrize("topic_filter, expected", FILTERS, ids=[f for f, _ in FILTERS])
def test_filters(join, version, publisher, topic, topic_filter, expected):
    for kept in ("x", "x/a", "x/b", "x/a/c", "/", "y/a/c"):
        publisher.publish(f"{topic}/{kept}", kept, 1, retain=True)
    c = join(version)
    c.subscribe(f"{topic}/{topic_filter}", qos=1)
    assert payloads(c, len(expected)) == sorted(expected)
    c.ping()


@states("v3 4.7.2-1", "v5 4.7.2-1")
def test_dollar_topics(join, version, publisher, topic):
    publisher.publish(f"$x/{topic}", "x", 1, retain=True)
    c = join(version)
    c.subscribe(f"+/{topic}")
    c.ping()
    c.subscribe(f"$x/{topic}")
    assert c.message().payload == b"x"
    c.subscribe("$x/#")
    assert c.message().payload == b"x"
    publisher.publish(f"$x/{topic}", "", 1, retain=True)


def test_properties_are_kept(join, topic):
    sent = {"payload_format": 1, "content_type": "text/plain", "response_topic": "r", "correlation_data": b"c",
            "user_property": [("b", "2"), ("a", "1")]}
    p = join(V5)
    p.publish(topic, "x", 1, retain=True, props=sent)
    c, old = join(V5), join(V311)
    c.subscribe(topic, props={"subscription_id": 7})
    m = c.message()
    assert m.props.pop("subscription_id") in (7, [7])
    assert m.props.pop("user_property") == [("b", "2"), ("a", "1")]
    assert m.props == {k: v for k, v in sent.items() if k != "user_property"}
    old.subscribe(topic)
    assert old.message().payload == b"x"


@states("v5 3.3.2-5", "v5 3.3.2-6")
def test_message_expiry(join, topic):
    c = join(V5)
    c.publish(f"{topic}/long", "x", 1, retain=True, props={"message_expiry": 1000})
    c.publish(f"{topic}/short", "x", 1, retain=True, props={"message_expiry": 1})
    mqtt.time.sleep(1.2)
    c.subscribe(f"{topic}/#")
    m = c.message()
    assert m.topic == f"{topic}/long" and 990 <= m.props["message_expiry"] <= 999
    c.ping()


@states("v3 3.1.2-17", "v5 3.1.2-15")
def test_will_is_kept(dial, join, version, topic):
    c = dial(version)
    c.connect(name(), will=(topic, "gone", 1, True))
    w = join(version)
    w.subscribe(topic)
    c.reset()
    assert not w.message().retain
    w.subscribe(topic)
    m = w.message()
    assert m.retain and m.payload == b"gone"


@states("v5 3.8.3-3")
def test_no_local(join, topic):
    c, other = join(V5), join(V5)
    c.publish(f"{topic}/own", "own", 1, retain=True)
    other.publish(f"{topic}/other", "other", 1, retain=True)
    c.subscribe(f"{topic}/#", options=NO_LOCAL)
    assert c.message().payload == b"other"
    c.ping()


def test_a_shared_subscription_gets_none(join, version, publisher, topic):
    publisher.publish(topic, "x", 1, retain=True)
    c = join(version)
    c.subscribe(f"$share/g/{topic}", check=False)
    c.ping()


def test_what_may_not_be_received_is_not_brought(join, version, publisher, topic):
    for last in ("secret", "closed", "open"):
        publisher.publish(f"{topic}/{last}", last, 1, retain=True)
    c = join(version)
    c.subscribe(f"{topic}/#")
    assert c.message().payload == b"open"
    c.ping()


def test_more_than_a_queue_holds(join, version, publisher, topic):
    """1000 messages for a client for whom no more than 20 wait, of every QoS."""
    for i in range(1000):
        publisher.send(mqtt.publish(f"{topic}/{i % 7}/{i}", str(i), i % 3 and 1, i + 1, version, retain=True))
        if i % 3:
            publisher.expect(mqtt.PUBACK)
    publisher.ping()
    c = join(version)
    c.subscribe(f"{topic}/+/#", qos=1)
    assert payloads(c, 1000) == sorted(map(str, range(1000)))
    c.ping()
    for i in range(1000):
        publisher.publish(f"{topic}/{i % 7}/{i}", "", retain=True)
    publisher.ping()


def test_the_rest_comes_after_a_reconnect(dial, join, version, publisher, topic):
    for i in range(200):
        publisher.publish(f"{topic}/{i}", str(i), 1, retain=True)
    options = {"clean": False, "props": {"session_expiry": 60, "receive_maximum": 5} if version == V5 else ()}
    who = name()
    c = dial(version)
    c.connect(who, **options)
    c.subscribe(f"{topic}/#", qos=1)
    got = {m.payload for m in c.messages(30)}
    c.reset()
    c = dial(version)
    c.connect(who, **options)
    while len(got) < 200:
        got.add(c.message().payload)
    for i in range(200):
        publisher.publish(f"{topic}/{i}", "", retain=True)
    publisher.ping()


def test_unsubscribing_ends_it(join, topic):
    p, c = join(V5), join(V5, props={"receive_maximum": 5})
    for i in range(200):
        p.publish(f"{topic}/{i}", str(i), 1, retain=True)
    c.subscribe(f"{topic}/#", qos=1)
    some = c.messages(5, acknowledge=False)
    c.send(mqtt.unsubscribe(9, [f"{topic}/#"], V5))
    c.expect(mqtt.UNSUBACK)
    for m in some:
        c.send(mqtt.ack(mqtt.PUBACK, m.packet_id))
    c.send(mqtt.pingreq())
    came = 5
    while (m := c.receive()).kind == mqtt.PUBLISH:
        c.send(mqtt.ack(mqtt.PUBACK, m.packet_id))
        came += 1
    assert came < 50
    for i in range(200):
        p.publish(f"{topic}/{i}", "", retain=True)
    p.ping()


def test_limits(join, topic):
    """One message of a topic too much, and one byte."""
    p, old = join(V5), join(V311)
    watcher = join(V5)
    watcher.subscribe(f"{topic}/+/x")
    big = "x" * 600000
    assert [p.publish(f"{topic}/{i}/big", big, 1, retain=True) for i in range(4)] == [0x10] * 3 + [0x97]
    assert p.publish(f"{topic}/0/x", big, 1, retain=True) == 0x97
    assert p.publish(f"{topic}/0/x", "x", 1, retain=True) == 0x00
    assert watcher.message().payload == b"x"
    p.publish(f"{topic}/0/x", big, 0, retain=True)  # cannot be refused: brought to those who are there
    assert watcher.message().payload == big.encode()
    old.publish(f"{topic}/1/x", big, 1, retain=True)
    assert watcher.message().payload == big.encode()
    c = join(V5)
    c.subscribe(f"{topic}/+/x")  # and an older one does not stay in its place
    c.ping()
    for i in range(3):
        p.publish(f"{topic}/{i}/big", "", 1, retain=True)
