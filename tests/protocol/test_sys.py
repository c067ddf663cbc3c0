# SPDX-License-Identifier: Apache-2.0
"""The topics below $SYS/broker, under the names that Mosquitto gives them."""

import re

import pytest

import mqtt
from mqtt import V5

SETTINGS = ["broker.sys-interval=1s"]
RULES = [("allow", "any", "all", "#"), ("allow", "any", "all", "$SYS/broker/#"),
         ("deny", "any", "receive", "$SYS/broker/clients/maximum")]

LOADS = ["bytes/received", "bytes/sent", "connections", "messages/received", "messages/sent", "publish/dropped",
         "publish/received", "publish/sent", "sockets"]
NUMBERS = ["bytes/received", "bytes/sent", "clients/active", "clients/connected", "clients/disconnected",
           "clients/expired", "clients/inactive", "clients/total", "messages/received", "messages/sent",
           "messages/stored", "publish/bytes/received", "publish/bytes/sent", "publish/messages/dropped",
           "publish/messages/received", "publish/messages/sent", "retained messages/count",
           "shared_subscriptions/count", "store/messages/bytes", "store/messages/count", "subscriptions/count"]
EXPECTED = {f"$SYS/broker/{x}" for x in ["version", "uptime", *NUMBERS,
                                         *(f"load/{x}/{m}min" for x in LOADS for m in (1, 5, 15))]}


def tree(c):
    """Every topic once, as it came first."""
    got = {}
    while not EXPECTED <= set(got):
        m = c.message()
        got.setdefault(m.topic, m.payload.decode())
    return got


def values(c, topic, enough):
    """Waits for a value of the topic that is enough."""
    until = mqtt.time.monotonic() + mqtt.PATIENCE
    while mqtt.time.monotonic() < until:
        m = c.message()
        if m.topic == topic and enough(m.payload.decode()):
            return
    raise AssertionError(topic)


def test_names_and_forms(join, version):
    c = join(version)
    c.subscribe("$SYS/broker/#", qos=1)
    got = tree(c)
    assert re.fullmatch(r"gatehouse \d+\.\d+\.\d+\S*", got.pop("$SYS/broker/version"))
    assert re.fullmatch(r"\d+ seconds", got.pop("$SYS/broker/uptime"))
    for topic, value in got.items():
        assert re.fullmatch(r"\d+\.\d\d" if "/load/" in topic else r"\d+", value), (topic, value)
    assert "$SYS/broker/clients/maximum" not in got  # a rule denies it
    assert int(got["$SYS/broker/clients/connected"]) >= 1


def test_figures_follow(join, topic):
    c, others = join(V5), [join(V5) for _ in range(3)]
    c.subscribe("$SYS/broker/clients/connected")
    values(c, "$SYS/broker/clients/connected", lambda v: v == "4")
    for o in others:
        o.disconnect()
    values(c, "$SYS/broker/clients/connected", lambda v: v == "1")
    c.unsubscribe("$SYS/broker/clients/connected")
    c.subscribe("$SYS/broker/load/publish/received/1min")
    p = join(V5)
    for _ in range(100):
        p.publish(topic, "x")
    values(c, "$SYS/broker/load/publish/received/1min", lambda v: float(v) > 50)


def test_a_later_subscriber_gets_them_at_once(join):
    first, later = join(V5), join(V5)
    first.subscribe("$SYS/broker/version")
    first.message()
    later.subscribe("$SYS/broker/version")
    m = later.message()
    assert m.retain and m.payload.startswith(b"gatehouse ")


def test_nothing_stays_when_nobody_listens(join):
    c = join(V5)
    c.subscribe("$SYS/broker/uptime")
    c.message()
    c.unsubscribe("$SYS/broker/uptime")
    until = mqtt.time.monotonic() + mqtt.PATIENCE
    while True:  # a look of a moment is no reason to publish
        c.send(mqtt.subscribe(7, [("$SYS/broker/uptime", 0)], V5), mqtt.unsubscribe(8, ["$SYS/broker/uptime"], V5))
        c.expect(mqtt.SUBACK)
        p = c.receive()
        if p.kind == mqtt.UNSUBACK:
            break
        assert p.kind == mqtt.PUBLISH and c.expect(mqtt.UNSUBACK)
        assert mqtt.time.monotonic() < until
        mqtt.time.sleep(0.2)


@pytest.mark.parametrize("topic_filter", ["#", "+/broker/version", "+/#"])
def test_wildcards_do_not_reach_them(join, version, topic_filter):
    c, reader = join(version), join(V5)
    c.subscribe(topic_filter)
    reader.subscribe("$SYS/broker/uptime")
    reader.messages(2)
    c.ping()
