# SPDX-License-Identifier: Apache-2.0
"""gatehouse client show: a session in full, connected or away."""

import ssl
import time

import pytest

from conftest import name
from gateway import CliError, Gateway, wait_until
from mqtt import V5, Client, publish


@pytest.fixture(scope="module")
def gw():
    with Gateway(listeners=["open tls=off auth=anonymous"]) as gateway:
        gateway.cli("acl", "allow", "any", "all", "#")
        yield gateway


def shown(gw, client_id):
    """With the figures that reach the store once a second."""
    return wait_until(lambda: ("address" in (said := gw.json("client", "show", client_id))) and said,
                      what="the client in the list")


def test_connection(gw):
    bundle = gw.bundle("pump-1")
    with Client.tls(gw.mqtts, V5, bundle=bundle, versions=ssl.TLSVersion.TLSv1_2) as c:
        c.connect("pump-1", props=[("receive_maximum", 7), ("maximum_packet_size", 5000)])
        said = shown(gw, "pump-1")
        assert (said["is_connected"], said["device"], said["transport"]) == (True, "pump-1", "tls")
        assert said["tls_version"] == "TLS1.2" and said["cipher"].startswith("AES-") and said["group"]
        assert said["resumed"] is False and len(said["fingerprint"]) == 64
        assert (said["receive_maximum"], said["packet_max"]) == (7, 5000)
        assert said["unsent_bytes"] == 0 and said["heard"].startswith("20")
        text = gw.cli("client", "show", "pump-1").stdout
        assert "TLS1.2" in text and "pump-1" in text


def test_subscriptions(gw):
    who = name()
    with Client.tcp(gw.listeners["open"], V5) as c:
        c.connect(who)
        c.subscribe("a/+", qos=1)
        c.subscribe("b/#", qos=0, options=0x04 | 0x08, props=[("subscription_id", 9)])
        said = {s["filter"]: s for s in shown(gw, who)["subscription_list"]}
        assert set(said) == {"a/+", "b/#"}
        assert said["a/+"]["qos"] == 1 and said["a/+"]["active"] and not said["a/+"]["no_local"]
        assert said["b/#"] == {"filter": "b/#", "qos": 0, "no_local": True, "retain_as_published": True,
                               "identifier": 9, "active": True, "partial": False}
        text = gw.cli("client", "show", who).stdout
        assert "a/+" in text and "b/#" in text


def test_many_subscriptions_are_cut(gw):
    who = name()
    with Client.tcp(gw.listeners["open"], V5) as c:
        c.connect(who)
        for n in range(0, 300, 50):
            c.subscribe(*[f"x/{i}/{'y' * 200}" for i in range(n, n + 50)])
        said = shown(gw, who)
        assert 100 < len(said["subscription_list"]) <= 200
        assert len(said["subscription_list"]) + said["subscriptions_left_out"] == 300


def test_queue_and_in_flight(gw):
    """A client that acknowledges nothing, with a window of 3."""
    who, topic = name(), f"q/{name()}"
    with Client.tcp(gw.listeners["open"], V5) as slow, Client.tcp(gw.listeners["open"], V5) as other:
        slow.connect(who, props=[("receive_maximum", 3)])
        slow.subscribe(topic, qos=1)
        other.connect(name())
        for _ in range(10):
            other.publish(topic, b"z" * 100, qos=1)
        said = wait_until(lambda: (s := shown(gw, who))["in_flight"] == 3 and s, what="the window")
        assert said["queued_now"] == 7 and said["queued_bytes"] >= 700
        slow.send(publish(topic, b"x", qos=2, packet_id=5, version=V5))
        wait_until(lambda: shown(gw, who)["received"] == 1, what="the QoS 2 message")


def test_figures_are_those_of_now(gw):
    """Not those of a second ago, and not none for one that has just come."""
    who, topic = name(), f"q/{name()}"
    with Client.tcp(gw.listeners["open"], V5) as c:
        c.connect(who)
        c.subscribe(topic, qos=1)
        for n in range(1, 4):
            c.publish(topic, b"x")
            c.message()
            said = gw.json("client", "show", who)
            assert (said["messages_in"], said["messages_out"], said["subscriptions"]) == (n, n, 1)
        assert said["bytes_in"] > 0 and said["bytes_out"] > 0
        text = gw.cli("client", "show", who).stdout
        assert "messages from it" in text and "messages waiting" in text


def test_away(gw):
    who, topic = name(), f"q/{name()}"
    with Client.tcp(gw.listeners["open"], V5) as c:
        c.connect(who, props=[("session_expiry", 1000)])
        c.subscribe(topic, qos=1)
        c.disconnect()
    with Client.tcp(gw.listeners["open"], V5) as other:
        other.connect(name())
        other.publish(topic, b"waits", qos=1)
    said = wait_until(lambda: not (s := gw.json("client", "show", who))["is_connected"] and
                      "address" not in s and s, what="the end of the connection")
    assert said["client_id"] == who and said["session_expiry"] == 1000 and said["queued_now"] == 1
    assert "transport" not in said and [s["filter"] for s in said["subscription_list"]] == [topic]


def test_rates(gw):
    who = name()
    with Client.tcp(gw.listeners["open"], V5) as c:
        c.connect(who)
        until = time.monotonic() + 10

        def fast():
            c.publish("rate", b"x", qos=1)
            assert time.monotonic() < until
            return shown(gw, who)["messages_in_per_minute"] > 60

        wait_until(fast, what="a rate")
        assert shown(gw, who)["messages_out_per_minute"] == 0


def test_nobody(gw):
    with pytest.raises(CliError) as e:
        gw.cli("client", "show", "nobody")
    assert e.value.code == 5 and "nobody" in e.value.stderr
