# SPDX-License-Identifier: Apache-2.0
"""Keep alive, time to CONNECT, and wills. The only waits are for the broker's own timers, which the
tests set as short as it allows."""

import time

import pytest

import mqtt
from gateway import wait_until
from mqtt import V311, V5
from told import OPEN, name

states = pytest.mark.states

SETTINGS = ["broker.connect-timeout=500ms", "broker.max-keep-alive=5s"]
LISTENERS = [OPEN]


# -- keep alive

@states("v3 3.1.2-24", "v5 3.1.2-22")
def test_silence_ends_the_connection(dial, version):
    c = dial(version)
    began = time.monotonic()
    c.connect(name(), keep_alive=1)
    c.expect_disconnect(0x8D)
    assert time.monotonic() - began > 1  # the client has kept its promise until then


@states("v3 3.1.2-24", "v3 3.1.2-23", "v5 3.1.2-22", "v5 3.1.2-20")
@pytest.mark.parametrize("what", ["ping", "publish", "subscribe"])
def test_any_packet_keeps_alive(dial, version, topic, what):
    c = dial(version)
    c.connect(name(), keep_alive=1)
    until = time.monotonic() + 3
    while time.monotonic() < until:
        if what == "ping":
            c.ping()
        elif what == "publish":
            c.publish(topic, "x")
        else:
            c.subscribe(topic)
        mqtt.readable([c], 0.3)
    c.ping()


def test_output_does_not_keep_alive(dial, join, version, topic):
    """A client that only receives is silent."""
    c, p = dial(version), join(V5)
    c.connect(name(), keep_alive=1)
    c.subscribe(topic)
    ended = []

    def feed():
        p.publish(topic, "x")
        if mqtt.readable([c], 0.1):
            m = c._packet(time.monotonic() + 1)
            if m is None or m.kind == mqtt.DISCONNECT:
                ended.append(m)
        return ended

    wait_until(feed, what="the end of a silent client")


@states("v3 3.1.2-24", "v5 3.1.2-22")
def test_bytes_that_are_no_packet_do_not_keep_alive(dial, version):
    c = dial(version)
    c.connect(name(), keep_alive=1)
    c.send(mqtt.packet(mqtt.PUBLISH, 0, b"\0\1a", length=100000))

    def drip():
        c.send(b"x")
        return mqtt.readable([c], 0.05)

    wait_until(drip, what="the end of a client that never finishes its PUBLISH")
    c.expect_disconnect(0x8D)


@states("v5 3.2.2-21", "v5 3.1.2-21", "v5 3.2.2-22")
@pytest.mark.parametrize("asked, given", [(0, 5), (1, None), (5, None), (6, 5), (65535, 5)])
def test_longest_keep_alive(dial, asked, given):
    assert dial(V5).connect(name(), keep_alive=asked).props.get("server_keep_alive") == given


def test_the_servers_keep_alive_holds(dial):
    c = dial(V5)
    began = time.monotonic()
    c.connect(name(), keep_alive=0)
    c.expect_disconnect(0x8D)
    assert time.monotonic() - began > 5


# -- time to CONNECT

@pytest.mark.parametrize("first", [b"", b"\x10", mqtt.connect("slow")[:-1]], ids=["nothing", "one byte", "all but one"])
def test_time_to_connect(dial, first):
    c = dial()
    c.send(first)
    assert c.expect_closed() == []


def test_dripping_does_not_buy_time(dial):
    c = dial(V311)

    def drip():
        c.send(b"x" if c.wire.socket.fileno() >= 0 else b"")
        return mqtt.readable([c], 0.05) and c._packet(time.monotonic() + 1) is None

    c.send(mqtt.packet(mqtt.CONNECT, 0, b"", length=1000))
    wait_until(drip, what="the end of a client that never finishes its CONNECT")


# -- wills

def watcher_of(join, topic, qos=2):
    w = join(V5)
    w.subscribe(f"{topic}/#", qos=qos)
    return w


def will(topic, payload="gone", qos=0, retain=False):
    return (f"{topic}/will", payload, qos, retain)


@states("v3 3.1.2-8", "v5 3.1.2-7", "v5 3.1.2-8", "v3 3.1.2-16", "v5 3.1.2-14")
@pytest.mark.parametrize("how", ["close", "reset", "malformed", "second connect", "takeover", "keep alive"])
def test_will_is_published(dial, join, version, topic, how):
    w = watcher_of(join, topic)
    who = name()
    c = dial(version)
    c.connect(who, will=will(topic, how, 1), keep_alive=1 if how == "keep alive" else 5)
    if how == "close":
        c.close()
    elif how == "reset":
        c.reset()
    elif how == "malformed":
        c.send(mqtt.pingreq(flags=1))
    elif how == "second connect":
        c.send(mqtt.connect(who, version=version))
    elif how == "takeover":
        dial(version).connect(who)
    m = w.message()
    assert (m.topic, m.payload, m.qos, m.retain) == (f"{topic}/will", how.encode(), 1, False)
    w.ping()


@states("v3 3.1.2-10", "v3 3.14.4-3", "v5 3.1.2-10", "v5 3.14.4-3")
def test_no_will_after_disconnect(dial, join, version, topic):
    w = watcher_of(join, topic)
    c = dial(version)
    c.connect(name(), will=will(topic))
    c.disconnect()
    w.publish(f"{topic}/end", "end")
    assert w.message().payload == b"end"


@states("v3 3.1.2-12")
def test_no_will_without_the_flag(dial, join, version, topic):
    w = watcher_of(join, topic)
    c = dial(version)
    c.connect(name())
    c.reset()
    w.publish(f"{topic}/end", "end")
    assert w.message().payload == b"end"


@states("v5 3.1.2-8")
@pytest.mark.parametrize("reason", [0x04, 0x80, 0x81, 0x82, 0x97])
def test_will_after_disconnect_with_another_reason(dial, join, topic, reason):
    w = watcher_of(join, topic)
    c = dial(V5)
    c.connect(name(), will=will(topic))
    c.disconnect(reason)
    assert w.message().payload == b"gone"


@states("v3 3.1.2-10", "v5 3.1.2-10")
def test_will_is_published_once(dial, join, version, topic):
    w = watcher_of(join, topic)
    who = name()
    c = dial(version)
    c.connect(who, clean=False, will=will(topic), props={"session_expiry": 60} if version == V5 else ())
    c.reset()
    assert w.message().payload == b"gone"
    c = dial(version)
    c.connect(who, clean=False)
    c.reset()
    w.publish(f"{topic}/end", "end")
    assert w.message().payload == b"end"


@states("v5 3.1.2-9", "v5 3.1.3-10", "v5 3.3.2-4", "v5 3.3.2-15")
@pytest.mark.parametrize("qos", [0, 1, 2])
def test_will_with_all_its_properties(dial, join, topic, qos):
    w = watcher_of(join, topic)
    sent = {"payload_format": 1, "content_type": "text/plain", "response_topic": "r", "correlation_data": b"c",
            "user_property": [("b", "2"), ("a", "1")]}
    c = dial(V5)
    c.connect(name(), will=will(topic, "gone", qos), will_props=sent)
    c.reset()
    m = w.message()
    assert m.props == sent and m.qos == qos


@states("v5 3.1.2-8", "v5 3.1.3-9")
def test_will_delay(dial, join, topic):
    """It comes after the delay, and not when the client returns before."""
    w = watcher_of(join, topic)
    options = {"clean": False, "props": {"session_expiry": 60}, "will_props": {"will_delay": 1}}
    who = name()
    c = dial(V5)
    c.connect(who, will=will(topic, "first"), **options)
    c.reset()
    c = dial(V5)
    assert c.connect(who, will=will(topic, "second"), **options).session_present
    began = time.monotonic()
    c.reset()
    m = w.message()
    assert m.payload == b"second" and time.monotonic() - began >= 0.9
    w.ping()


@states("v5 3.1.2-8")
def test_will_delay_ends_with_the_session(dial, join, topic):
    w = watcher_of(join, topic)
    c = dial(V5)
    c.connect(name(), will=will(topic), will_props={"will_delay": 3600})  # session expiry 0
    c.reset()
    assert w.message().payload == b"gone"


def test_clean_start_ends_the_old_session_and_its_will(dial, join, topic):
    w = watcher_of(join, topic)
    who = name()
    c = dial(V5)
    c.connect(who, clean=False, will=will(topic), will_props={"will_delay": 3600}, props={"session_expiry": 60})
    c.reset()
    dial(V5).connect(who, clean=True)
    assert w.message().payload == b"gone"


@states("v5 3.2.2-12")
@pytest.mark.parametrize("qos", [0, 1, 2])
def test_will_qos(dial, version, topic, qos):
    dial(version).connect(name(), will=will(topic, "x", qos))
