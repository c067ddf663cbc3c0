# SPDX-License-Identifier: Apache-2.0
"""Topic aliases from the server to the client, for clients that allow them."""

import pytest

import mqtt
from mqtt import V5, V311

states = pytest.mark.states


class Reader:
    """Keeps what each alias stands for, as section 3.3.2.3.4 says."""

    def __init__(self, client, maximum):
        self.client, self.maximum, self.topics = client, maximum, {}

    def message(self):
        m = self.client.message()
        alias = m.props.get("topic_alias")
        if alias is not None:
            assert 0 < alias <= self.maximum
            if m.topic:
                self.topics[alias] = m.topic
            m.full_topic = self.topics[alias]
        else:
            m.full_topic = m.topic
        return m


@pytest.fixture
def reader(join):
    def reader(maximum, **props):
        return Reader(join(V5, props={"topic_alias_maximum": maximum, **props}), maximum)

    return reader


@states("v5 3.1.2-26")
@pytest.mark.parametrize("maximum", [1, 3, 65535])
def test_no_more_than_allowed(join, reader, topic, maximum):
    r, p = reader(maximum), join(V5)
    r.client.subscribe(f"{topic}/#", qos=1)
    omitted = 0
    for i in range(60):
        p.publish(f"{topic}/{i % 4}", str(i), i % 2)
        m = r.message()
        assert (m.full_topic, m.payload) == (f"{topic}/{i % 4}", str(i).encode())
        omitted += not m.topic
    assert len(r.topics) <= maximum
    assert maximum < 4 or omitted > 0  # four topics take turns: whether fewer aliases help is the broker's affair


@states("v5 3.1.2-27")
@pytest.mark.parametrize("props", [{}, {"topic_alias_maximum": 0}])
def test_none_unless_allowed(join, topic, props):
    c, old, p = join(V5, props=props), join(V311), join(V5)
    for x in (c, old):
        x.subscribe(topic)
    for _ in range(3):
        p.publish(topic, "x")
    for m in c.messages(3) + old.messages(3):
        assert m.topic == topic and "topic_alias" not in m.props


def test_the_second_one_goes_without_its_topic(join, reader, topic):
    r, other, p = reader(10), join(V5), join(V5)
    for c in (r.client, other):
        c.subscribe(topic, props={"subscription_id": 5})
    p.publish(topic, "1")
    p.publish(topic, "2", props={"content_type": "x"})
    first, second = r.message(), r.message()
    assert first.topic == topic and second.topic == "" and second.full_topic == topic
    assert second.props["content_type"] == "x" and second.props["subscription_id"] in (5, [5])
    assert [m.topic for m in other.messages(2)] == [topic, topic]


@states("v5 3.3.2-7")
def test_an_alias_ends_with_its_connection(dial, join, topic):
    """What is sent again after a reconnect has its topic: the new connection knows no alias."""
    who, p = "alias-" + topic.replace("/", "-"), join(V5)
    options = {"clean": False, "props": {"session_expiry": 60, "topic_alias_maximum": 10}}
    c = dial(V5)
    c.connect(who, **options)
    c.subscribe(topic, qos=1)
    for i in range(3):
        p.publish(topic, str(i), 1)
    assert [m.topic for m in c.messages(3, acknowledge=False)] == [topic, "", ""]
    c.reset()
    c = dial(V5)
    c.connect(who, **options)
    again = c.messages(3)
    assert [(m.topic, m.dup) for m in again] == [(topic, True), ("", True), ("", True)]


def test_what_just_fits_goes_without_an_alias(join, reader, topic):
    """The first use of an alias costs 3 bytes."""
    plain = len(mqtt.publish(topic, "x" * 50, 0, 0, V5))
    r, p = reader(10, maximum_packet_size=plain), join(V5)
    r.client.subscribe(topic)
    for _ in range(2):
        p.publish(topic, "x" * 50)
        m = r.message()
        assert m.topic == topic and "topic_alias" not in m.props
    p.publish(topic, "x")
    assert "topic_alias" in r.message().props
    p.publish(topic, "x" * 50)
    assert r.message().topic == ""


def test_retained_messages_too(join, reader, topic):
    p, r = join(V5), reader(10)
    p.publish(topic, "x", 1, retain=True)
    r.client.subscribe(topic)
    assert r.message().topic == topic
    r.client.subscribe(topic)
    m = r.message()
    assert m.topic == "" and m.full_topic == topic and m.retain
    p.publish(topic, "", 1, retain=True)
