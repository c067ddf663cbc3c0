# SPDX-License-Identifier: Apache-2.0
"""Shared subscriptions: each message reaches one member of each group, whichever worker has it."""

import collections

import pytest

import mqtt
from conftest import name
from mqtt import V5, V311

states = pytest.mark.states

SETTINGS = ["broker.workers=3", "broker.max-queued-messages=50"]
RULES = [("allow", "any", "all", "#"), ("deny", "any", "receive", "t/+/secret"),
         ("deny", "any", "subscribe", "forbidden/#")]

N = 60


def drain(c):
    """The payloads that have come, all that were under way included."""
    c.send(mqtt.pingreq())
    got = []
    while (p := c.receive()).kind == mqtt.PUBLISH:
        got.append(p.payload)
        if p.qos:
            c.send(mqtt.ack(mqtt.PUBACK, p.packet_id))
    assert p.kind == mqtt.PINGRESP
    return got


def collect(members, n):
    """Waits until n messages have come; the payloads of each member."""
    got = [[] for _ in members]
    until = mqtt.time.monotonic() + mqtt.PATIENCE
    while sum(map(len, got)) < n:
        assert mqtt.time.monotonic() < until, got
        for c, mine in zip(members, got):
            mine += drain(c)
    return got


def publish_all(p, topic, payloads, qos=1):
    for x in payloads:
        p.publish(topic, x, qos)


def group(join, n, topic_filter, qos=1, versions=(V5, V311), share="g", **options):
    members = [join(versions[i % len(versions)], **options) for i in range(n)]
    for c in members:
        c.subscribe(f"$share/{share}/{topic_filter}", qos=qos)
    return members


@pytest.mark.parametrize("qos", [0, 1])
@pytest.mark.parametrize("n", [1, 2, 5])
def test_one_of_them_gets_it(join, topic, n, qos):
    members = group(join, n, topic, qos)
    p = join(V5)
    sent = [str(i).encode() for i in range(N)]
    publish_all(p, topic, sent, qos)
    got = collect(members, N)
    assert collections.Counter(sum(got, [])) == collections.Counter(sent)
    assert all(len(mine) == N // n for mine in got), "in turn"
    assert all(mine == sorted(mine, key=int) for mine in got), "in order"
    assert not any(map(drain, members))


def test_each_group_and_who_is_in_none(join, topic):
    first, second = group(join, 2, topic, share="a"), group(join, 3, topic, share="b")
    wild = group(join, 2, f"{topic}/#", share="a")  # another filter: another group
    alone = join(V5)
    alone.subscribe(topic, qos=1)
    p = join(V5)
    publish_all(p, topic, ["x"] * 12)
    assert [len(x) for x in collect(first, 12)] == [6, 6]
    assert [len(x) for x in collect(second, 12)] == [4, 4, 4]
    assert [len(x) for x in collect(wild, 12)] == [6, 6]
    assert len(collect([alone], 12)[0]) == 12


def test_member_with_a_subscription_of_its_own(join, topic):
    """One copy by each of them."""
    c = join(V5)
    c.subscribe(topic, qos=1, props={"subscription_id": 1})
    c.subscribe(f"$share/g/{topic}", qos=1, props={"subscription_id": 2})
    join(V5).publish(topic, "x", 1)
    ids = [m.props["subscription_id"] for m in c.messages(2)]
    assert sorted(str(x) for x in ids) in (["1", "2"], ["[1]", "[2]"])
    c.ping()


@states("v5 4.8.2-3")
def test_granted_qos(join, topic):
    for granted in (0, 1, 2):
        c = join(V5)
        c.subscribe(f"$share/g/{topic}/{granted}", qos=granted)
        for qos in (0, 1, 2):
            join(V5).publish(f"{topic}/{granted}", "x", qos)
            assert c.message().qos == min(qos, granted)


def test_who_leaves_gets_no_more(join, topic):
    members = group(join, 3, topic)
    p = join(V5)
    members[0].unsubscribe(f"$share/g/{topic}")
    publish_all(p, topic, ["x"] * 10)
    assert [len(x) for x in collect(members[1:], 10)] == [5, 5]
    members[1].disconnect()
    publish_all(p, topic, ["x"] * 10)
    assert len(collect(members[2:], 10)[0]) == 10
    assert drain(members[0]) == []


def test_members_that_are_away(dial, join, topic):
    """They get messages only when nobody is there, and then keep them."""
    who, options = name(), {"clean": False, "props": {"session_expiry": 60}}
    sleeper = dial(V5)
    sleeper.connect(who, **options)
    sleeper.subscribe(f"$share/g/{topic}", qos=1)
    awake = join(V5)
    awake.subscribe(f"$share/g/{topic}", qos=1)
    sleeper.disconnect()
    p = join(V5)
    publish_all(p, topic, ["a"] * 10)
    assert len(collect([awake], 10)[0]) == 10
    awake.disconnect()
    publish_all(p, topic, ["b"] * 10)
    sleeper = dial(V5)
    sleeper.connect(who, **options)
    assert [m.payload for m in sleeper.messages(10)] == [b"b"] * 10
    publish_all(p, topic, ["c"])  # it counts as present again
    assert sleeper.message().payload == b"c"
    sleeper.ping()


@pytest.mark.parametrize("qos", [1, 2])
def test_what_a_member_did_not_answer_goes_to_others(join, topic, qos):
    """QoS 1 all of it; of QoS 2 only what had not been sent."""
    first = join(V5, props={"receive_maximum": 3})
    first.subscribe(f"$share/g/{topic}", qos=qos)
    p = join(V5)
    publish_all(p, topic, [str(i) for i in range(8)], qos)
    sent = [m.payload for m in first.messages(3, acknowledge=False)]
    second = join(V5)
    second.subscribe(f"$share/g/{topic}", qos=qos)
    first.disconnect()
    expected = [str(i).encode() for i in range(8)]
    if qos == 2:
        expected = [x for x in expected if x not in sent]
    got = second.messages(len(expected), acknowledge=False)
    assert [m.payload for m in got] == expected and not any(m.dup for m in got)
    second.ping()


@states("v5 4.8.2-4", "v5 4.8.2-5")
@pytest.mark.parametrize("returns", [True, False])
def test_qos_2_is_completed_by_who_began(dial, join, topic, returns):
    who, options = name(), {"clean": False, "props": {"session_expiry": 60 if returns else 0}}
    first, second = dial(V5), join(V5)
    first.connect(who, **options)
    first.subscribe(f"$share/g/{topic}", qos=2)
    join(V5).publish(topic, "x", 2)
    m = first.message(acknowledge=False)
    second.subscribe(f"$share/g/{topic}", qos=2)
    first.disconnect()
    if returns:
        first = dial(V5)
        first.connect(who, **options)
        again = first.message()
        assert (again.payload, again.dup, again.packet_id) == (b"x", True, m.packet_id)
    second.ping()


@states("v5 4.8.2-6")
@pytest.mark.parametrize("qos", [1, 2])
def test_refused_by_a_member_is_discarded(join, topic, qos):
    members = group(join, 2, topic, qos, [V5])
    join(V5).publish(topic, "x", qos)
    until = mqtt.time.monotonic() + mqtt.PATIENCE
    while not (ready := mqtt.readable(members, 0.1)):
        assert mqtt.time.monotonic() < until
    m = ready[0].message(acknowledge=False)
    ready[0].send(mqtt.ack(mqtt.PUBACK if qos == 1 else mqtt.PUBREC, m.packet_id, 0x83))
    for c in members:
        c.ping()


def test_who_has_no_room_is_passed_over(dial, join, topic):
    """51 messages for a member that answers none: the others get its share."""
    stuck, other = join(V5, props={"receive_maximum": 1}), join(V5)
    for c in (stuck, other):
        c.subscribe(f"$share/g/{topic}", qos=1)
    publish_all(join(V5), topic, [str(i) for i in range(200)])
    assert len(collect([other], 200 - 51)[0]) == 200 - 51


def test_rules_judge_the_filter(join, topic):
    c, old = join(V5), join(V311)
    assert c.subscribe("$share/g/forbidden/x", check=False) == [0x87]
    assert old.subscribe("$share/g/forbidden/x", check=False) == [0x80]
    members = group(join, 2, f"{topic}/+")
    p = join(V5)
    publish_all(p, f"{topic}/secret", ["x"] * 4)
    publish_all(p, f"{topic}/open", ["y"] * 4)
    assert sum(collect(members, 4), []) == [b"y"] * 4


def test_answer_says_whether_anyone_matches(join, topic):
    p = join(V5)
    assert p.publish(topic, "x", 1) == 0x10
    members = group(join, 2, topic)
    assert p.publish(topic, "x", 1) == 0x00
    collect(members, 1)
    for c in members:
        c.unsubscribe(f"$share/g/{topic}")
    assert p.publish(topic, "x", 1) == 0x10


def test_retain_as_published(join, topic):
    c = join(V5)
    c.subscribe(f"$share/g/{topic}", options=0x08)
    p = join(V5)
    p.publish(topic, "x", 1, retain=True)
    assert c.message().retain
    p.publish(topic, "", 1, retain=True)
    assert c.message().payload == b""
