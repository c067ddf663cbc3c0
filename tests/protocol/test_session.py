# SPDX-License-Identifier: Apache-2.0
"""Sessions: clean start, session present, takeover, expiry, what waits for a client that is away."""

import pytest

import mqtt
from gateway import wait_until
from mqtt import DISCONNECT, PUBACK, V311, V5
from told import name

states = pytest.mark.states


def kept(version, **more):
    """Options of a CONNECT whose session outlives the connection."""
    props = {"session_expiry": 300, **more.pop("props", {})} if version == V5 else ()
    return {"clean": False, "props": props, **more}


@states("v3 3.2.2-3", "v5 3.2.2-3", "v5 3.1.2-6", "v3 3.1.2-4", "v3 3.1.4-3", "v5 3.1.4-4")
def test_no_session_yet(dial, version):
    assert not dial(version).connect(name(), **kept(version)).session_present


@states("v3 3.2.2-2", "v5 3.2.2-3", "v5 3.1.2-5", "v5 3.1.2-23", "v3 3.1.2-4", "v3 4.1.0-1", "v3 3.1.3-2", "v5 3.1.3-2")
def test_session_is_kept(dial, join, version, topic):
    who = name()
    c = dial(version)
    c.connect(who, **kept(version))
    c.subscribe(topic, qos=1)
    c.disconnect()
    c = dial(version)
    assert c.connect(who, **kept(version)).session_present
    join().publish(topic, "x", 1)
    assert c.message().payload == b"x"


@states("v3 3.1.2-6", "v3 3.2.2-1", "v5 3.1.2-4", "v5 3.2.2-2")
def test_clean_start_throws_the_session_away(dial, join, version, topic):
    who = name()
    c = dial(version)
    c.connect(who, **kept(version))
    c.subscribe(topic, qos=1)
    c.disconnect()
    join().publish(topic, "while away", 1)
    c = dial(version)
    assert not c.connect(who, **kept(version, clean=True)).session_present
    join().publish(topic, "nobody listens", 1)
    c.subscribe(topic)
    join().publish(topic, "now", 1)
    assert c.message().payload == b"now"


@states("v3 3.1.2-6", "v5 4.1.0-2")
def test_session_ends_with_its_connection(dial, version):
    who = name()
    c = dial(version)
    c.connect(who, clean=True)
    c.disconnect()
    assert not dial(version).connect(who, **kept(version)).session_present


@states("v5 4.1.0-2", "v5 3.1.2-8")
def test_session_expires(dial, join, topic):
    """Its will, whose delay is longer, tells when the session has ended."""
    who = name()
    watcher = join()
    watcher.subscribe(topic)
    c = dial(V5)
    c.connect(who, clean=False, props={"session_expiry": 1}, will=(topic, "over", 0, False),
              will_props={"will_delay": 3600})
    c.reset()
    assert watcher.message().payload == b"over"
    assert not dial(V5).connect(who, **kept(V5)).session_present


def test_expiry_given_with_disconnect(dial):
    who = name()
    c = dial(V5)
    c.connect(who, **kept(V5))
    c.disconnect(0, {"session_expiry": 0})
    assert not dial(V5).connect(who, **kept(V5)).session_present


def test_expiry_cannot_rise_from_zero_with_disconnect(dial):
    c = dial(V5)
    c.connect(name())
    c.send(mqtt.disconnect(0, {"session_expiry": 10}))
    c.expect_disconnect(0x82)


@states("v3 3.1.4-2", "v5 3.1.4-3", "v5 4.13.2-1")
def test_takeover(dial, version):
    who = name()
    old, new = dial(version), dial(version)
    old.connect(who)
    assert not new.connect(who).session_present
    old.expect_disconnect(0x8E)
    new.ping()


@states("v3 3.1.4-2", "v5 3.1.4-3")
def test_takeover_keeps_the_session(dial, join, version, topic):
    who = name()
    old, new = dial(version), dial(version)
    old.connect(who, **kept(version))
    old.subscribe(topic, qos=1)
    assert new.connect(who, **kept(version)).session_present
    old.expect_disconnect(0x8E)
    join().publish(topic, "x", 1)
    assert new.message().payload == b"x"


def test_takeover_across_versions(dial, join, topic):
    who = name()
    old, new = dial(V311), dial(V5)
    old.connect(who, clean=False)
    old.subscribe(topic, qos=1)
    assert new.connect(who, **kept(V5)).session_present
    assert old.expect_closed() == []
    join().publish(topic, "x", 1)
    assert new.message().payload == b"x"


def test_many_takeovers(dial):
    who = name()
    last = None
    for _ in range(50):
        c = dial(V5)
        c.connect(who)
        if last:
            last.expect_disconnect(0x8E)
        last = c
    last.ping()


def answers(client):
    try:
        client.ping()
        return True
    except mqtt.Wrong:  # closed, or told to go
        return False


def test_takeovers_at_once(dial):
    """All ask for the same client identifier; exactly one is left."""
    who = name()
    clients = [dial(V5) for _ in range(20)]
    for c in clients:
        c.send(mqtt.connect(who, version=V5))
    for c in clients:
        assert c.expect(mqtt.CONNACK).reason == 0
    wait_until(lambda: sum(map(answers, clients)) == 1, what="the end of all but one")
    assert sum(map(answers, clients)) == 1


@states("v3 3.1.2-5", "v3 4.5.0-1", "v5 4.5.0-1", "v3 4.6.0-6", "v5 4.6.0-5")
def test_messages_wait_for_a_client_that_is_away(dial, join, version, topic):
    who = name()
    c = dial(version)
    c.connect(who, **kept(version))
    c.subscribe(topic, qos=1)
    c.disconnect()
    p = join(version)
    for i in range(20):
        p.publish(topic, str(i), 1)
    c = dial(version)
    assert c.connect(who, **kept(version)).session_present
    got = c.messages(20)
    assert [m.payload for m in got] == [b"%d" % i for i in range(20)]
    assert not any(m.dup for m in got)
    assert len({m.packet_id for m in got}) == 20
    c.ping()


def test_qos_0_to_a_client_that_is_away_is_lost_or_kept_but_never_first(dial, join, version, topic):
    """The standard lets the server choose; the order of what arrives holds in any case."""
    who = name()
    c = dial(version)
    c.connect(who, **kept(version))
    c.subscribe(topic, qos=1)
    c.disconnect()
    p = join(version)
    p.publish(topic, "1", 1)
    p.publish(topic, "2", 0)
    p.publish(topic, "3", 1)
    c = dial(version)
    c.connect(who, **kept(version))
    payloads = [c.message().payload, c.message().payload]
    if payloads[1] == b"2":
        payloads = [payloads[0], c.message().payload]
    assert payloads == [b"1", b"3"]


@states("v3 4.4.0-1", "v5 4.4.0-1", "v3 3.3.1-1", "v5 3.3.1-1", "v3 2.3.1-4", "v5 4.3.2-3", "v3 4.3.2-1",
        "v3 4.6.0-1", "v5 4.6.0-1")
def test_unacknowledged_messages_are_sent_again(dial, join, version, topic):
    who = name()
    c = dial(version)
    c.connect(who, **kept(version))
    c.subscribe(topic, qos=1)
    p = join(version)
    for i in range(5):
        p.publish(topic, str(i), 1)
    first = c.messages(5, acknowledge=False)
    assert not any(m.dup for m in first)
    c.send(mqtt.ack(PUBACK, first[1].packet_id))
    c.ping()
    c.reset()
    c = dial(version)
    c.connect(who, **kept(version))
    again = c.messages(4)
    assert [(m.packet_id, m.payload) for m in again] == [(m.packet_id, m.payload) for m in first if m is not first[1]]
    assert all(m.dup for m in again)
    c.ping()
    c.disconnect()
    c = dial(version)
    c.connect(who, **kept(version))
    c.ping()  # nothing is left


@states("v5 4.4.0-1")
def test_nothing_is_sent_again_on_a_living_connection(dial, join, version, topic):
    c = dial(version)
    c.connect(name(), **kept(version))
    c.subscribe(topic, qos=1)
    join().publish(topic, "x", 1)
    m = c.message(acknowledge=False)
    for _ in range(10):
        c.ping()
    c.send(mqtt.ack(PUBACK, m.packet_id))
    c.ping()


@states("v3 4.3.3-1", "v5 4.3.3-5", "v5 4.3.3-6")
def test_pubrel_is_sent_again(dial, join, version, topic):
    who = name()
    c = dial(version)
    c.connect(who, **kept(version))
    c.subscribe(topic, qos=2)
    join().publish(topic, "x", 2)
    m = c.message(acknowledge=False)
    c.send(mqtt.ack(mqtt.PUBREC, m.packet_id))
    c.expect(mqtt.PUBREL)
    c.reset()
    c = dial(version)
    c.connect(who, **kept(version))
    assert c.expect(mqtt.PUBREL).packet_id == m.packet_id  # not the PUBLISH
    c.send(mqtt.ack(mqtt.PUBCOMP, m.packet_id))
    c.ping()


@states("v5 4.4.0-2")
def test_refused_by_the_receiver_is_not_sent_again(dial, join, topic):
    who = name()
    c = dial(V5)
    c.connect(who, **kept(V5))
    c.subscribe(topic, qos=1)
    join().publish(topic, "x", 1)
    c.send(mqtt.ack(PUBACK, c.message(acknowledge=False).packet_id, 0x83))
    c.ping()
    c.reset()
    c = dial(V5)
    c.connect(who, **kept(V5))
    c.ping()


@states("v5 4.9.0-1", "v5 4.9.0-2", "v5 4.9.0-3", "v5 3.3.4-9", "v5 3.3.4-10")
@pytest.mark.parametrize("window", [1, 2, 10])
def test_receive_maximum_of_the_client(dial, join, topic, window):
    c = dial(V5)
    c.connect(name(), props={"receive_maximum": window})
    c.subscribe(topic, qos=1)
    p = join()
    for i in range(30):
        p.publish(topic, str(i), 1)
    got = []
    while len(got) < 30:
        batch = c.messages(min(window, 30 - len(got)), acknowledge=False)
        c.ping()  # answered although the window is full; no further message comes
        for m in batch:
            c.send(mqtt.ack(PUBACK, m.packet_id))
        got += [m.payload for m in batch]
    assert got == [b"%d" % i for i in range(30)]


def test_window_of_a_session_that_returns_with_a_smaller_one(dial, join, topic):
    who = name()
    c = dial(V5)
    c.connect(who, **kept(V5))
    c.subscribe(topic, qos=1)
    p = join()
    for i in range(10):
        p.publish(topic, str(i), 1)
    c.messages(10, acknowledge=False)
    c.reset()
    c = dial(V5)
    c.connect(who, **kept(V5, props={"receive_maximum": 2}))
    got = []
    while len(got) < 10:
        batch = c.messages(2, acknowledge=False)
        c.ping()  # no third one
        for m in batch:
            c.send(mqtt.ack(PUBACK, m.packet_id))
        got += [m.payload for m in batch]
    assert got == [b"%d" % i for i in range(10)]


@states("v3 4.1.0-2", "v5 4.1.0-1")
def test_session_lasts_as_long_as_its_connection(dial, join, version, topic):
    c = dial(version)
    c.connect(name(), clean=True)  # expiry 0
    c.subscribe(topic, qos=1)
    p = join()
    for i in range(3):
        p.publish(topic, str(i), 1)
        assert c.message().payload == b"%d" % i


@states("v5 3.3.2-7")
def test_topic_aliases_end_with_the_connection(dial, topic):
    who = name()
    c = dial(V5)
    c.connect(who, **kept(V5))
    c.send(mqtt.publish(topic, "x", version=V5, props={"topic_alias": 1}))
    c.ping()
    c.disconnect()
    c = dial(V5)
    c.connect(who, **kept(V5))
    c.send(mqtt.publish("", "x", version=V5, props={"topic_alias": 1}))
    answer = c.expect_closed()
    assert [(p.kind, p.reason) for p in answer] == [(DISCONNECT, 0x82)]


@states("v5 4.3.3-7")
def test_what_was_sent_once_does_not_expire(dial, join, topic):
    """QoS 2: expiry is over when the client is back; the exchange is completed."""
    who, options = name(), {"clean": False, "props": {"session_expiry": 60}}
    c = dial(V5)
    c.connect(who, **options)
    c.subscribe(topic, qos=2)
    join(V5).publish(topic, "x", 2, props={"message_expiry": 1})
    m = c.message(acknowledge=False)
    c.disconnect()
    mqtt.time.sleep(1.1)
    c = dial(V5)
    c.connect(who, **options)
    again = c.message()
    assert (again.payload, again.dup, again.packet_id) == (b"x", True, m.packet_id)
    assert again.props["message_expiry"] == 0
    c.ping()
